import { z } from 'zod'
import { port } from './address.ts'
import { secret } from './secret.ts'

/** `[database]`: where the router keeps accounts, contacts and settings. */
export const database = z.object({
  type: z
    .enum(['none', 'sqlite3', 'pqxx'])
    .default('none')
    .describe(
      '`sqlite3`, `pqxx` (PostgreSQL), or `none`: accounts are kept in memory and lost with the router, which warns of it. `npm start` keeps what waits on the bus in `/var/lib/spectrum2/$jid` then too.',
    ),
  database: z
    .string()
    .default('/var/lib/spectrum2/$jid/database.sql')
    .describe('File of the SQLite database, or name of the PostgreSQL database.'),
  server: z
    .string()
    .min(1)
    .default('localhost')
    .describe('Host of the PostgreSQL server, or the folder of its socket.'),
  port: port().default(0).describe('Port of the PostgreSQL server; 0: 5432.'),
  user: z.string().default('').describe('User of the PostgreSQL database.'),
  password: secret(z.string().default('').describe('Password of the PostgreSQL user.')),
  prefix: z.string().default('').describe('Keeps apart several instances in one database, together with the JID.'),
  connectionstring: secret(
    z.string().default('').describe('PostgreSQL connection string, used instead of the single options.'),
  ),
})
