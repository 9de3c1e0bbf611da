-- Names that differ in case only are one name. Where several users have one, it is the first one's: the others keep their
-- accounts and have no claim.
UPDATE "accounts" SET "claim" = NULL
WHERE "claim" IS NOT NULL AND EXISTS (
    SELECT 1 FROM "accounts" AS "other"
    WHERE "other"."instance" = "accounts"."instance"
        AND lower("other"."claim") = lower("accounts"."claim")
        AND ("other"."created_at" < "accounts"."created_at"
            OR ("other"."created_at" = "accounts"."created_at" AND "other"."user" < "accounts"."user"))
);

UPDATE "accounts" SET "claim" = lower("claim") WHERE "claim" <> lower("claim");
