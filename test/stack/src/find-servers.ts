// Finds every server that tests use, fetching those that are missing, and says which it found.
import { findAnope } from './anope.ts'
import { findEjabberd } from './ejabberd.ts'
import { ErgoUnavailableError, findErgo } from './ergo.ts'
import { findInspircd } from './inspircd.ts'
import { findNats } from './nats.ts'
import { findNgircd } from './ngircd.ts'
import { findPostgres } from './postgres.ts'
import { findProsody } from './prosody.ts'

const finders = {
  'nats-server': async () => (await findNats()).version,
  PostgreSQL: async () => (await findPostgres()).version,
  Prosody: async () => `Prosody ${(await findProsody()).version}`,
  ejabberd: async () => (await findEjabberd()).version,
  ngIRCd: async () => (await findNgircd()).version,
  InspIRCd: async () => (await findInspircd()).version,
  Anope: async () => (await findAnope()).version,
}

for (const [name, find] of Object.entries(finders))
  try {
    console.log(`✔ ${await find()}`)
  } catch (error) {
    console.log(`✖ ${name}: ${(error as Error).message}`)
    process.exitCode = 1
  }

try {
  console.log(`✔ Ergo at ${await findErgo()}`)
} catch (error) {
  if (!(error instanceof ErgoUnavailableError)) throw error
  // Only where Go is at hand and can fetch its modules.
  console.log(`– ${error.message}`)
}
