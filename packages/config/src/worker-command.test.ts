import assert from 'node:assert/strict'
import { test } from 'node:test'
import { workerCommand } from './worker-command.ts'

test('a worker gets the configuration of the router, without its secrets', () => {
  const argv = [
    'gateway.cfg',
    '--nats.nkey_seed=router',
    '--http.port',
    '9000',
    '--service.jid=irc.example.org',
    '--database.password',
    'x',
  ]
  const env = {
    PATH: '/bin',
    SPECTRUM_NATS_NKEY_SEED_FILE: '/run/router',
    SPECTRUM_MASTER_KEY: 'key',
    SPECTRUM_LOG_LEVEL: 'warn',
    SPECTRUM_IRC_PASSWORD: 'of the network',
  }
  const command = workerCommand(argv, { 'http.port': '0', 'nats.nkey_seed': 'worker' }, env)
  assert.deepEqual(command.argv, ['gateway.cfg', '--service.jid=irc.example.org', '--http.port=0'])
  assert.deepEqual(command.env, {
    PATH: '/bin',
    SPECTRUM_LOG_LEVEL: 'warn',
    SPECTRUM_IRC_PASSWORD: 'of the network',
    SPECTRUM_NATS_NKEY_SEED: 'worker',
  })
  assert.throws(() => workerCommand([], { 'http.prot': '0' }, {}), RangeError)
})
