import { z } from 'zod'
import { masterKeyBytes } from '../master-key.ts'
import { secret } from './secret.ts'

/** `[security]`: the key that everything stored in secret is sealed with. */
export const security = z.object({
  masterKey: secret(
    z
      .string()
      .refine(text => masterKeyBytes(text) !== undefined, 'must be 32 bytes in base64 or hexadecimal')
      .optional()
      .meta({ env: 'SPECTRUM_MASTER_KEY' })
      .describe(
        'Key of 32 bytes, in base64 or hexadecimal, that seals stored credentials (AES-256-GCM). Left out, SQLite’s lies beside the database and is made at the first start (`$jid.master.key`); PostgreSQL needs it, but for `npm start`, which makes one.',
      ),
  ),
})
