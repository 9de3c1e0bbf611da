import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { builtInNetworks } from './backend.ts'
import { ConfigError } from './config-error.ts'
import { type LoadOptions, loadConfig } from './load.ts'
import { secret } from './options/secret.ts'
import { printConfig } from './print.ts'

const folder = mkdtempSync(join(tmpdir(), 'spectrum-config-'))
after(() => rmSync(folder, { recursive: true }))

const allNetworks = builtInNetworks.join(', ')

let files = 0
function file(...lines: string[]): string {
  const path = join(folder, `${++files}.cfg`)
  writeFileSync(path, lines.join('\n'))
  return path
}

function load(argv: string[], options: Omit<LoadOptions, 'argv'> = {}) {
  return loadConfig({ argv, env: {}, ...options })
}

function mistakesOf(argv: string[], options: Omit<LoadOptions, 'argv'> = {}): readonly string[] {
  try {
    load(argv, options)
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes
    throw error
  }
  return assert.fail('the configuration was accepted')
}

const irc = {
  id: 'irc',
  config: z.object({
    servers: z.array(z.string()).default([]).describe('IRC servers.').meta({ option: 'service.irc_server' }),
    floodRate: z.number().min(0).default(2).describe('Lines a second.'),
    webircPassword: secret(z.string().optional().describe('WEBIRC password.')),
  }),
}

test('an old configuration just starts', () => {
  const path = file(
    '[service]',
    'jid = IRC.example.org',
    'password = secret # of the component',
    'server=10.0.0.5',
    'port=5347',
    'backend=/no/such/folder/spectrum2_libcommuni_backend --service.id=BACKEND_ID',
    'users_per_backend=50',
    'admin_jid=a@example.org',
    'admin_jid=b@example.org',
    'working_dir=/var/lib/spectrum2/$jid',
    'server_mode=0',
    'irc_server=irc.example.net',
    '[database]',
    'type=sqlite3',
    '[registration]',
    'auto_register=yes',
    '[logging]',
    'config=/etc/spectrum2/logging.cfg',
  )
  const { config, warnings } = load(['-n', path], { required: ['service.password'] })
  assert.equal(config.service.jid, 'irc.example.org')
  assert.equal(config.service.usersPerBackend, 50)
  assert.deepEqual(config.service.adminJid, ['a@example.org', 'b@example.org'])
  assert.equal(config.registration.autoRegister, true)
  assert.equal(config.database.database, '/var/lib/spectrum2/IRC.example.org/database.sql')
  assert.deepEqual(config.network, { id: 'irc', options: {} })
  assert.deepEqual(warnings, [
    `${path}:18: logging.config: is not acted on: lines go to standard output, log.level says how many`,
    `${path}:6: service.backend: /no/such/folder/spectrum2_libcommuni_backend does not exist; the built-in network irc is used`,
  ])
  assert.ok(Object.isFrozen(config) && Object.isFrozen(config.service) && Object.isFrozen(config.service.adminJid))
})

test('later sources win, a list as a whole', () => {
  const path = file(
    '[service]',
    'jid=a.example',
    'backend=irc',
    'port=1',
    'admin_jid=x@a',
    'admin_jid=y@a',
    '[log]',
    'level=warn',
  )
  const env = { SPECTRUM_SERVICE_PORT: '2', SPECTRUM_SERVICE_ADMIN_JID: 'p@a, q@a,r@a', SPECTRUM_LOG_LEVEL: '' }
  const { config } = load(['--config', path, '--service.port=3', '--service.admin_jid', 'z@a'], { env })
  assert.equal(config.service.port, 3)
  assert.deepEqual(config.service.adminJid, ['z@a'])
  assert.equal(config.log.level, 'warn')
  const fromEnvironment = load([], { env: { ...env, SPECTRUM_CONFIG: path } }).config
  assert.equal(fromEnvironment.service.port, 2)
  assert.deepEqual(fromEnvironment.service.adminJid, ['p@a', 'q@a', 'r@a'])
  assert.equal(load(['-j', 'b.example', path]).config.service.jid, 'b.example')
})

test('the whole order of precedence holds for every mix of sources', () => {
  const sources = fc.record({
    file: fc.option(fc.nat(9999)),
    env: fc.option(fc.nat(9999)),
    flag: fc.option(fc.nat(9999)),
  })
  fc.assert(
    fc.property(sources, ({ file: inFile, env, flag }) => {
      const path = join(folder, 'mix.cfg')
      writeFileSync(
        path,
        ['[service]', 'jid=a', 'backend=irc', '[http]', ...(inFile === null ? [] : [`port=${inFile}`])].join('\n'),
      )
      const { config } = load([path, ...(flag === null ? [] : [`--http.port=${flag}`])], {
        env: env === null ? {} : { SPECTRUM_HTTP_PORT: String(env) },
      })
      assert.equal(config.http.port, flag ?? env ?? inFile ?? 0)
    }),
    { numRuns: 40 },
  )
})

test('all mistakes are told at once, each with its place', () => {
  const path = file(
    '[service]',
    'jid=user@example.org',
    'port=five',
    'port=6',
    'backend=no-such-network',
    'server_mode=1',
    'cert=/etc/cert.p12',
    'vip_only=yes',
    '[database]',
    'type=mysql',
    '[log]',
    'level=loud',
    'nonsense',
    '[egress]',
    'deny=10.0.0.0/8',
    'deny=10.0.0.0/33',
    'allowed_ports=6697',
    'allowed_ports=70000',
    '[grpc]',
    'host=0.0.0.0',
  )
  assert.deepEqual(mistakesOf([path], { required: ['service.password'] }), [
    `${path}: service.password: is required`,
    `${path}:2: service.jid: must be a domain such as irc.example.org, without @ and /`,
    `${path}:3: service.port: must be a whole number`,
    `${path}:4: service.port: is given more than once; the first time at ${path}:3`,
    `${path}:5: service.backend: is neither a built-in network (${allNetworks}) nor an executable file`,
    `${path}:6: service.server_mode: asks for server mode, which is not available yet; set it to 0 to run as a gateway`,
    `${path}:7: service.cert: belongs to server mode, which is not available yet; remove it to run as a gateway`,
    `${path}:8: service.vip_only: would let only some users in, which is not available yet`,
    `${path}:10: database.type: MySQL is not available yet; use sqlite3 or pqxx (PostgreSQL)`,
    `${path}:12: log.level: must be one of debug, info, warn, error`,
    `${path}:13: this line is neither [section] nor key = value`,
    `${path}:16: egress.deny: must be an IP address or a block of them, such as 10.0.0.0/8`,
    `${path}:18: egress.allowed_ports: must be a port or a range of ports, such as 6660-6669`,
    `${path}:20: grpc.host: must be of this machine alone (127.0.0.1, ::1): the admin API has no access tokens yet`,
  ])
})

test('what is missing is said without a file too', () => {
  assert.deepEqual(mistakesOf([]), [
    'configuration: service.jid: is required',
    `configuration: service.backend: must name a network (${allNetworks})`,
  ])
  const missing = join(folder, 'missing.cfg')
  assert.ok(mistakesOf([missing]).includes(`${missing}: the configuration file cannot be read (ENOENT)`))
})

test('refused options may stand there with their harmless value', () => {
  const path = file(
    '[service]',
    'jid=a',
    'backend=irc',
    'server_mode=off',
    'cert=',
    'vip_only=no',
    'frontend=xmpp',
    '[registration]',
    'require_local_account=0',
  )
  assert.deepEqual(load([path]).warnings, [])
})

test('an option nobody knows is a warning with the one that was meant, on the command line a mistake', () => {
  const path = file('[service]', 'jid=a', 'backend=irc', 'user_per_backend=5', '[weather]', 'today=fine', 'today=rain')
  assert.deepEqual(load([path]).warnings, [
    `${path}:4: service.user_per_backend: is not a known option; did you mean service.users_per_backend?`,
    `${path}:6: weather.today: is not a known option`,
  ])
  const mistyped = file(
    '[service]',
    'jid=a',
    'backend=irc',
    '[databse]',
    'type=sqlite3',
    'database=x',
    '[weather]',
    'x=1',
  )
  assert.deepEqual(load([mistyped]).warnings, [
    `${mistyped}:5: [databse]: is not a known section; did you mean [database]? Nothing in it is used`,
    `${mistyped}:8: weather.x: is not a known option`,
  ])
  assert.equal(load([mistyped]).config.database.type, 'none')
  const mistakes = mistakesOf(['--service.jid=a', '--service.backend=irc', '--service.prot=1', '--verbose'])
  assert.deepEqual(mistakes, [
    '--verbose: is not a known flag',
    '--service.prot: is not a known option; did you mean service.port?',
  ])
})

test('$jid is replaced in values of all sources', () => {
  const { config } = load(['--service.jid=a.example', '--service.backend=irc', '--identity.name=Gateway $jid'], {
    env: { SPECTRUM_DATABASE_DATABASE: '/data/$jid.sqlite' },
  })
  assert.equal(config.identity.name, 'Gateway a.example')
  assert.equal(config.database.database, '/data/a.example.sqlite')
})

test('a secret may come from a file, and one place only', () => {
  const path = join(folder, 'password')
  writeFileSync(path, ' hunter2 \n')
  const argv = ['--service.jid=a', '--service.backend=irc']
  const { config } = load(argv, { env: { SPECTRUM_SERVICE_PASSWORD_FILE: path } })
  assert.equal(config.service.password, ' hunter2 ')
  assert.deepEqual(
    mistakesOf(argv, { env: { SPECTRUM_SERVICE_PASSWORD_FILE: path, SPECTRUM_SERVICE_PASSWORD: 'x' } }),
    ['SPECTRUM_SERVICE_PASSWORD_FILE: service.password: cannot be given together with SPECTRUM_SERVICE_PASSWORD'],
  )
  assert.deepEqual(mistakesOf(argv, { env: { SPECTRUM_MASTER_KEY_FILE: join(folder, 'none') } }), [
    'SPECTRUM_MASTER_KEY_FILE: security.master_key: the file cannot be read (ENOENT)',
  ])
})

test('a secret on the command line is warned about, without saying it', () => {
  const { warnings } = load(['--service.jid=a', '--service.backend=irc', '--service.password=hunter2'])
  assert.deepEqual(warnings, [
    '--service.password: everybody on this machine can read it there; use SPECTRUM_SERVICE_PASSWORD_FILE or the .cfg',
  ])
})

test('a master key is 32 bytes in base64 or hexadecimal', () => {
  const argv = ['--service.jid=a', '--service.backend=irc']
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.constantFrom('base64', 'base64url', 'hex'),
      (bytes, form) => {
        const key = Buffer.from(bytes).toString(form)
        assert.equal(load(argv, { env: { SPECTRUM_MASTER_KEY: key } }).config.security.masterKey, key)
      },
    ),
    { numRuns: 30 },
  )
  for (const key of ['short', 'A'.repeat(44), 'ab'.repeat(31), `${'A'.repeat(43)}==`]) {
    assert.deepEqual(mistakesOf(argv, { env: { SPECTRUM_MASTER_KEY: key } }), [
      'SPECTRUM_MASTER_KEY: security.master_key: must be 32 bytes in base64 or hexadecimal',
    ])
  }
})

test('a network’s options are parsed by its own schema', () => {
  const path = file(
    '[service]',
    'jid=a',
    'backend=irc',
    'irc_server=x',
    'irc_server=y',
    'irc_identify=x',
    '[irc]',
    'flood_rate=0.5',
    'flood_rates=2',
    '[parrot]',
    'delay=1',
  )
  const { config, warnings } = load([path], { networks: [irc] })
  assert.deepEqual(config.network, { id: 'irc', options: { servers: ['x', 'y'], floodRate: 0.5 } })
  assert.deepEqual(warnings, [
    `${path}:6: service.irc_identify: is not acted on yet`,
    `${path}:9: irc.flood_rates: is not a known option; did you mean irc.flood_rate?`,
  ])
  assert.deepEqual(load([path]).warnings, [], 'a service without the schema does not judge them')
  assert.deepEqual(mistakesOf([path, '--irc.flood_rate=-1'], { networks: [irc] }), [
    '--irc.flood_rate: must be at least 0',
    `${path}:9: irc.flood_rates: is not a known option; did you mean irc.flood_rate?`,
  ])
  assert.deepEqual(mistakesOf([path, '--service.backend=parrot'], { networks: [irc] }), [
    '--service.backend: chooses parrot, which this process cannot run',
    `${path}:9: irc.flood_rates: is not a known option; did you mean irc.flood_rate?`,
  ])
})

test('the backend is a network, a stand-in for one, or refused', () => {
  const executable = join(folder, 'spectrum2_libcommuni_backend')
  writeFileSync(executable, '#!/bin/sh\n')
  chmodSync(executable, 0o755)
  const backend = (value: string, env = {}) => load(['--service.jid=a', `--service.backend=${value}`], { env })
  assert.equal(backend('parrot').config.network.id, 'parrot')
  assert.equal(backend('spectrum2_libcommuni_backend').config.network.id, 'irc')
  assert.equal(load(['--service.jid=a', '--service.protocol=irc']).config.network.id, 'irc')
  const refused = `--service.backend: backends that run as programs of their own cannot be used yet; name a network (${allNetworks})`
  assert.deepEqual(mistakesOf(['--service.jid=a', `--service.backend=${executable} --x`]), [refused])
  const onPath = { env: { PATH: `/no/such:${folder}` } }
  assert.deepEqual(mistakesOf(['--service.jid=a', '--service.backend=spectrum2_libcommuni_backend'], onPath), [refused])
})

test('no secret is printed, by mistakes or by the printer', () => {
  const word = fc.stringMatching(/^[A-Za-z0-9]{12,20}$/)
  fc.assert(
    fc.property(word, key => {
      const { config } = load(
        [
          '--service.jid=a',
          '--service.backend=irc',
          `--service.password=${key}`,
          `--database.connectionstring=${key}`,
          `--irc.webirc_password=${key}`,
        ],
        { networks: [irc] },
      )
      const printed = printConfig(config, irc)
      assert.ok(!printed.includes(key))
      assert.match(printed, /^password = \(set\)$/m)
      assert.match(printed, /^webirc_password = \(set\)$/m)
      const wrong = mistakesOf([
        '--service.jid=a',
        `--nats.nkey_seed=${key}`,
        `--security.master_key=${key}`,
        `--service.admin_passwrd=${key}`,
      ])
      assert.ok(!wrong.join('\n').includes(key), wrong.join('\n'))
    }),
    { numRuns: 20 },
  )
})

test('what is printed is a configuration that means the same', () => {
  const { config } = load(
    [
      '--service.jid=a',
      '--service.backend=irc',
      '--service.admin_jid=x@a',
      '--service.admin_jid=y@a',
      '--service.jid_escaping=0',
      '--irc.flood_rate=0',
    ],
    { networks: [irc] },
  )
  const path = file(printConfig(config, irc))
  const again = load([path], { networks: [irc] })
  assert.deepEqual(again.config, config)
  assert.deepEqual(again.warnings, [])
})

test('a file that cannot be read is the only mistake told', () => {
  const mistakes = mistakesOf(['--config', join(folder, 'none.cfg')], { required: ['service.password'] })
  assert.deepEqual(mistakes, [`${join(folder, 'none.cfg')}: the configuration file cannot be read (ENOENT)`])
})

test('with mistakes, names that nobody knows are told too: one of them may be the missing one', () => {
  const key = file('[service]', 'jidd = irc.example.org', 'backend = irc')
  assert.deepEqual(mistakesOf([key]), [
    `${key}: service.jid: is required`,
    `${key}:2: service.jidd: is not a known option; did you mean service.jid?`,
  ])
  const section = file('[servise]', 'jid = irc.example.org')
  assert.ok(
    mistakesOf([section]).includes(
      `${section}:2: [servise]: is not a known section; did you mean [service]? Nothing in it is used`,
    ),
  )
})

test('a switch that is not acted on yet still takes yes and no alone', () => {
  const path = file('[service]', 'jid = irc.example.org', 'backend = irc', 'server_mode = maybe')
  assert.deepEqual(mistakesOf([path]), [
    `${path}:4: service.server_mode: must be yes or no (1, 0, on, off, true, false)`,
  ])
  const other = file(
    '[service]',
    'jid = irc.example.org',
    'backend = irc',
    'enable_xhtml = perhaps',
    'max_room_list_size = 5',
  )
  assert.deepEqual(load([other]).warnings, [
    `${other}:4: service.enable_xhtml: must be yes or no (1, 0, on, off, true, false)`,
    `${other}:5: service.max_room_list_size: is not acted on yet`,
  ])
})

test('which options are given is told apart from defaults', () => {
  const path = file('[service]', 'jid = irc.example.org', 'backend = irc')
  const { given } = load([path, '--nats.servers=nats://127.0.0.1:4222'])
  assert.deepEqual([...given].sort(), ['nats.servers', 'service.backend', 'service.jid'])
})

test('the admin API listens where only this machine reaches it', () => {
  const argv = ['--service.jid=a', '--service.backend=irc']
  for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost'])
    assert.equal(load([...argv, `--grpc.host=${host}`]).config.grpc.host, host)
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org', '127.example.org'])
    assert.deepEqual(mistakesOf([...argv, `--grpc.host=${host}`]), [
      '--grpc.host: must be of this machine alone (127.0.0.1, ::1): the admin API has no access tokens yet',
    ])
})

test('ports are given one by one or as ranges', () => {
  const argv = ['--service.jid=a', '--service.backend=irc']
  const ports = (...values: string[]) => [...argv, ...values.map(value => `--egress.allowed_ports=${value}`)]
  assert.deepEqual(load(ports('1-65535', '7')).config.egress.allowedPorts, ['1-65535', '7'])
  assert.ok(load(argv).config.egress.allowedPorts.includes('6660-6669'))
  for (const value of ['', '0', '65536', '5-4', '1-2-3', '-5', '+6697', 'irc'])
    assert.equal(mistakesOf(ports(value)).length, 1, value)
})

test('how often who is away is looked for is not acted on, and said so', () => {
  const path = file('[service]', 'jid=a', 'backend=irc', 'irc_away_timeout=30')
  assert.deepEqual(load([path], { networks: [irc] }).warnings, [
    `${path}:4: service.irc_away_timeout: is not acted on yet`,
  ])
})

test('the canary needs a parrot, and the one frontend that holds the component', () => {
  const needed = ['--service.jid=birds.example.org', '--canary.interval=10']
  assert.equal(load([...needed, '--service.backend=parrot']).config.canary.interval, 10)
  const mistakes = mistakesOf([...needed, '--service.backend=irc', '--frontend.connections=many'])
  assert.match(mistakes.join('\n'), /canary\.interval.*service\.backend = parrot/)
  assert.match(mistakes.join('\n'), /canary\.interval.*frontend\.connections = one/)
})

test('no more workers are kept than are started', () => {
  const needed = ['--service.jid=birds.example.org', '--service.backend=parrot']
  const { launcher } = load([...needed, '--launcher.min_workers=4', '--launcher.max_workers=4']).config
  assert.equal(launcher.minWorkers, 4)
  const [mistake, ...others] = mistakesOf([...needed, '--launcher.min_workers=17'])
  assert.match(mistake ?? '', /launcher\.min_workers.*not be more than launcher\.max_workers: 17 of at most 16/)
  assert.deepEqual(others, [])
  assert.match(mistakesOf([...needed, '--launcher.max_workers=0']).join(), /launcher\.max_workers/)
})
