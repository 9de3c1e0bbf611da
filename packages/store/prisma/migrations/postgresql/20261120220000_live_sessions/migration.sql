-- CreateTable
CREATE TABLE "live_sessions" (
    "instance" TEXT NOT NULL,
    "user" TEXT NOT NULL,
    "generation" BIGINT NOT NULL,
    "snapshot" BYTEA,
    "is_online" BOOLEAN NOT NULL DEFAULT false,
    "updated_at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "live_sessions_pkey" PRIMARY KEY ("instance","user")
);
