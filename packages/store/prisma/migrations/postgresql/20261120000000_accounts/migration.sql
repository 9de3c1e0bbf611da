-- CreateTable
CREATE TABLE "accounts" (
    "instance" TEXT NOT NULL,
    "user" TEXT NOT NULL,
    "username" TEXT NOT NULL,
    "claim" TEXT,
    "secret" BYTEA NOT NULL,
    "data_key" BYTEA NOT NULL,
    "master_key" TEXT NOT NULL,
    "language" TEXT NOT NULL DEFAULT '',
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updated_at" TIMESTAMP(3) NOT NULL,

    CONSTRAINT "accounts_pkey" PRIMARY KEY ("instance","user")
);

-- CreateTable
CREATE TABLE "contacts" (
    "instance" TEXT NOT NULL,
    "user" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "alias" TEXT NOT NULL DEFAULT '',
    "groups" TEXT NOT NULL DEFAULT '[]',

    CONSTRAINT "contacts_pkey" PRIMARY KEY ("instance","user","name")
);

-- CreateTable
CREATE TABLE "settings" (
    "instance" TEXT NOT NULL,
    "user" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "value" TEXT NOT NULL,

    CONSTRAINT "settings_pkey" PRIMARY KEY ("instance","user","name")
);

-- CreateTable
CREATE TABLE "instance_keys" (
    "instance" TEXT NOT NULL,
    "public_key" BYTEA NOT NULL,
    "private_key" BYTEA NOT NULL,
    "data_key" BYTEA NOT NULL,
    "master_key" TEXT NOT NULL,
    "created_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "instance_keys_pkey" PRIMARY KEY ("instance")
);

-- CreateIndex
CREATE UNIQUE INDEX "accounts_instance_claim_key" ON "accounts"("instance", "claim");

-- AddForeignKey
ALTER TABLE "contacts" ADD CONSTRAINT "contacts_instance_user_fkey" FOREIGN KEY ("instance", "user") REFERENCES "accounts"("instance", "user") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "settings" ADD CONSTRAINT "settings_instance_user_fkey" FOREIGN KEY ("instance", "user") REFERENCES "accounts"("instance", "user") ON DELETE CASCADE ON UPDATE CASCADE;
