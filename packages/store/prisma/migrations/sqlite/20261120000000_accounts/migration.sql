-- CreateTable
CREATE TABLE "accounts" (
    "instance" TEXT NOT NULL,
    "user" TEXT NOT NULL,
    "username" TEXT NOT NULL,
    "claim" TEXT,
    "secret" BLOB NOT NULL,
    "data_key" BLOB NOT NULL,
    "master_key" TEXT NOT NULL,
    "language" TEXT NOT NULL DEFAULT '',
    "created_at" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" DATETIME NOT NULL,

    PRIMARY KEY ("instance", "user")
);

-- CreateTable
CREATE TABLE "contacts" (
    "instance" TEXT NOT NULL,
    "user" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "alias" TEXT NOT NULL DEFAULT '',
    "groups" TEXT NOT NULL DEFAULT '[]',

    PRIMARY KEY ("instance", "user", "name"),
    CONSTRAINT "contacts_instance_user_fkey" FOREIGN KEY ("instance", "user") REFERENCES "accounts" ("instance", "user") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "settings" (
    "instance" TEXT NOT NULL,
    "user" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "value" TEXT NOT NULL,

    PRIMARY KEY ("instance", "user", "name"),
    CONSTRAINT "settings_instance_user_fkey" FOREIGN KEY ("instance", "user") REFERENCES "accounts" ("instance", "user") ON DELETE CASCADE ON UPDATE CASCADE
);

-- CreateTable
CREATE TABLE "instance_keys" (
    "instance" TEXT NOT NULL PRIMARY KEY,
    "public_key" BLOB NOT NULL,
    "private_key" BLOB NOT NULL,
    "data_key" BLOB NOT NULL,
    "master_key" TEXT NOT NULL,
    "created_at" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- CreateIndex
CREATE UNIQUE INDEX "accounts_instance_claim_key" ON "accounts"("instance", "claim");
