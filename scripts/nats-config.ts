// Makes the users of the three services for a nats-server: writes nats.conf and a seed for each service into a folder.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { createNkeys, instanceKey, natsServerConfig } from '@spectrum/bus'

const [folder, ...jids] = process.argv.slice(2)
if (folder === undefined || jids.length === 0) {
  console.error('usage: node_modules/.bin/node scripts/nats-config.ts FOLDER JID…')
  process.exitCode = 1
} else {
  const users = { frontend: createNkeys(), router: createNkeys(), worker: createNkeys() }
  const place = { host: '127.0.0.1', port: 4222, storeDir: join(resolve(folder), 'jetstream') }
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  // Never over what is in use: the seeds cannot be had again.
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text, { mode: 0o600, flag: 'wx' })
  write('nats.conf', natsServerConfig({ ...place, users, instances: jids.map(instanceKey) }))
  for (const [service, { seed }] of Object.entries(users)) write(`${service}.seed`, seed)
  console.log(
    `Written to ${resolve(folder)}: nats.conf, and frontend.seed, router.seed and worker.seed (SPECTRUM_NATS_NKEY_SEED_FILE of each service).`,
  )
  console.log('Next: nats-server -c nats.conf; docs/operations.md has what each service needs.')
}
