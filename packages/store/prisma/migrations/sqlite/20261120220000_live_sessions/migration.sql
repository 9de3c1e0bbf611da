-- CreateTable
CREATE TABLE "live_sessions" (
    "instance" TEXT NOT NULL,
    "user" TEXT NOT NULL,
    "generation" BIGINT NOT NULL,
    "snapshot" BLOB,
    "is_online" BOOLEAN NOT NULL DEFAULT false,
    "updated_at" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,

    PRIMARY KEY ("instance", "user")
);
