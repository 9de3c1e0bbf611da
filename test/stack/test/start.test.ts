import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '@spectrum/config'
import {
  Child,
  freePort,
  IrcClient,
  type IrcServer,
  isAlive,
  type ProsodyServer,
  repositoryRoot,
  startNgircd,
  startProsody,
  TemporaryFolder,
  waitUntil,
  XmppClient,
  xml,
} from '../src/index.ts'
import { openState } from '../src/instance-state.ts'
import { isFree } from '../src/ports.ts'

const jid = 'irc.localhost'
const secret = 'component-secret-of-this-test'

interface World extends AsyncDisposable {
  readonly prosody: ProsodyServer
  readonly ircd: IrcServer
  readonly dir: string
  readonly cfg: string
}

/** An XMPP server, an IRC server and a Spectrum 2 configuration as people have them. */
async function world(): Promise<World> {
  await using resources = new AsyncDisposableStack()
  const folder = resources.use(await TemporaryFolder.create('start'))
  const prosody = resources.use(
    await startProsody({ component: { jid, secret }, users: [{ name: 'romeo', password: 'x' }] }),
  )
  const ircd = resources.use(await startNgircd())
  const cfg = join(folder.path, 'irc.cfg')
  await writeFile(
    cfg,
    `[service]
jid = ${jid}
password = ${secret}
server = 127.0.0.1
port = ${prosody.componentPort}
server_mode = 0
backend_host = 127.0.0.1
backend = /usr/bin/spectrum2_libcommuni_backend
irc_server = 127.0.0.1:${ircd.port}
[identity]
name = IRC
[database]
type = sqlite3
database = ${folder.path}/data/$jid.sql
`,
    { mode: 0o600 },
  )
  const left = resources.move()
  return { prosody, ircd, dir: folder.path, cfg, [Symbol.asyncDispose]: () => left.disposeAsync() }
}

/** Launches what `npm start -- …` runs. */
function launch(...args: string[]): Child {
  return Child.launch({
    name: 'npm start',
    command: process.execPath,
    args: [join(repositoryRoot, 'scripts/start.mjs'), ...args],
    isReady: () => true,
  })
}

async function untilReady(child: Child, gateway = jid): Promise<void> {
  const isReady = () => {
    if (!child.isRunning) throw new Error(child.log)
    return child.lines.includes(`ready: ${gateway} is connected to 127.0.0.1:${readyPort(child)}`)
  }
  await waitUntil(isReady, { deadlineMs: 60_000, describe: () => child.log })
}

const readyPort = (child: Child) => /^ready: .*:(\d+)$/m.exec(child.log)?.[1]

/** Process ids below this one. */
function descendants(pid: number): number[] {
  const parents = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      const path = `/proc/${name}/stat`
      try {
        return [[Number(name), Number(readFileSync(path, 'utf8').split(') ')[1]?.split(' ')[1])] as const]
      } catch {
        // It has ended since it was listed.
        return []
      }
    })
  const children = parents.filter(([, parent]) => parent === pid).map(([child]) => child)
  return children.flatMap(child => [child, ...descendants(child)])
}

/** Empty for a process that has ended. */
function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

test('an instance starts from its configuration, keeps what it knows over a restart and leaves nobody behind', async () => {
  await using here = await world()
  const { prosody, ircd } = here
  const login = { port: prosody.clientPort, domain: 'localhost', name: 'romeo', password: 'x' }
  await using romeo = await XmppClient.connect(login)
  await using juliet = await IrcClient.connect({ port: ircd.port, nick: 'juliet' })
  await juliet.join('#balcony')

  await using first = launch('--config', here.cfg, '--irc.flood_rate=0')
  await untilReady(first)
  await romeo.request('set', jid, '<query xmlns="jabber:iq:register"><username>romeo</username><password/></query>')
  const below = descendants(first.pid)
  assert.ok(below.length >= 5, `start, nats-server and three services: ${below}`)
  for (const pid of below) assert.ok(!commandLine(pid).includes(secret), 'the secret is in no command line')
  await first.kill('SIGTERM')
  assert.equal(first.exitCode, 0, first.log)
  assert.deepEqual(below.filter(isAlive), [])
  assert.equal(first.lines.filter(line => line.startsWith('ready:')).length, 1)
  assert.equal(statSync(join(here.dir, `data/${jid}.master.key`)).mode & 0o777, 0o600)
  assert.ok(existsSync(join(here.dir, `data/${jid}.sql`)))

  await using second = launch(`--config=${here.cfg}`)
  await untilReady(second)
  romeo.sends(xml`<presence to="${`#balcony@${jid}/romeo`}"><x xmlns="http://jabber.org/protocol/muc"/></presence>`)
  await romeo.receives('<message type="groupchat"><subject/></message>', { deadlineMs: 30_000 })
  romeo.sends(xml`<message to="${`#balcony@${jid}`}" type="groupchat"><body>still registered</body></message>`)
  await juliet.waitFor(/PRIVMSG #balcony :still registered/)
  await second.kill('SIGINT')
  assert.equal(second.exitCode, 0, second.log)
})

test('two gateways whose databases lie in one folder do not touch each other', async () => {
  await using here = await world()
  const second = 'two.localhost'
  await writeFile(
    join(here.prosody.dir, 'prosody.cfg.lua'),
    `${readFileSync(join(here.prosody.dir, 'prosody.cfg.lua'), 'utf8')}\nComponent "${second}"\n\tcomponent_secret = "${secret}"\n`,
  )
  await here.prosody.restart()
  const cfg = join(here.dir, 'two.cfg')
  await writeFile(cfg, readFileSync(here.cfg, 'utf8').replace(`jid = ${jid}`, `jid = ${second}`), { mode: 0o600 })
  const login = { port: here.prosody.clientPort, domain: 'localhost', name: 'romeo', password: 'x' }
  await using romeo = await XmppClient.connect(login)
  for (const round of [1, 2]) {
    await using one = launch('--config', here.cfg)
    await using two = launch('--config', cfg)
    await untilReady(one)
    await untilReady(two, second)
    for (const [index, gateway] of [jid, second].entries()) {
      const query = `<query xmlns="jabber:iq:register"><username>romeo${index}${round}</username><password/></query>`
      const answer = await romeo.request('set', gateway, query, 30_000)
      assert.equal(answer.attrs.type, 'result', `${gateway}, round ${round}: ${answer}`)
    }
    await Promise.all([one.stop(), two.stop()])
    for (const gateway of [one, two]) {
      assert.equal(gateway.exitCode, 0, gateway.log)
      assert.doesNotMatch(gateway.log, /ended \(|cannot be made/)
    }
  }
  const kept = readdirSync(join(here.dir, 'data')).filter(name => /\.(nats|key)$/.test(name))
  assert.deepEqual(kept.sort(), [`${jid}.master.key`, `${jid}.nats`, `${second}.master.key`, `${second}.nats`].sort())
})

test('a store and a key of earlier releases stay in use where they can only be this gateway’s', async () => {
  await using here = await world()
  const data = join(here.dir, 'data')
  const config = loadConfig({ argv: ['--config', here.cfg], env: {} }).config
  await mkdir(join(data, 'nats'), { recursive: true })
  await writeFile(join(data, 'master.key'), 'x')
  {
    using state = await openState(config)
    assert.deepEqual([state.natsStore, existsSync(state.natsStore)], [join(data, `${jid}.nats`), true])
    assert.equal(state.masterKeyFile, undefined, 'the router looks for it beside the database')
  }
  await mkdir(join(data, 'nats'))
  await rm(join(data, `${jid}.nats`), { recursive: true })
  await writeFile(join(data, 'other.localhost.sql'), '')
  using state = await openState(config)
  assert.deepEqual([state.natsStore, existsSync(join(data, 'nats'))], [join(data, `${jid}.nats`), true])
})

test('accounts that are kept nowhere are said to be, before ready', async () => {
  await using here = await world()
  const text = readFileSync(here.cfg, 'utf8').replace('[database]', '[databse]')
  await writeFile(here.cfg, text, { mode: 0o600 })
  await using gateway = launch('--config', here.cfg)
  await untilReady(gateway)
  const at = (pattern: RegExp) => gateway.lines.findIndex(line => pattern.test(line))
  const isSaid = (pattern: RegExp) => at(pattern) !== -1
  const mistyped = /^warning: \S+irc\.cfg:13: \[databse\]: is not a known section; did you mean \[database\]\?/
  await waitUntil(() => isSaid(mistyped), { describe: () => gateway.log })
  const warned = at(/warn: accounts are kept in memory and lost when the router ends: .*database\.type/)
  assert.ok(isSaid(/^Starting the gateway .*accounts are kept nowhere/), gateway.log)
  assert.ok(warned !== -1 && warned < at(/^ready: /), gateway.log)
  assert.doesNotMatch(gateway.log, /its data is in|the database was migrated/)
})

test('one gateway is not started twice on its data, and a dead one does not hold it', async () => {
  await using here = await world()
  const config = loadConfig({ argv: ['--config', here.cfg], env: {} }).config
  const lock = join(here.dir, 'data', `${jid}.pid`)
  await mkdir(join(here.dir, 'data'))
  await writeFile(lock, String(process.ppid))
  await assert.rejects(openState(config), /Another gateway for irc\.localhost \(process \d+\) already uses/)
  for (const stale of ['2147483646', String(process.pid), '']) {
    await writeFile(lock, stale)
    using _state = await openState(config)
    assert.equal(readFileSync(lock, 'utf8'), String(process.pid))
  }
  assert.ok(!existsSync(lock))
})

/** A port that is free with the two after it. */
async function freePorts(): Promise<number> {
  for (;;) {
    const port = await freePort()
    if ((await Promise.all([port + 1, port + 2].map(isFree))).every(Boolean)) return port
  }
}

/** The workers that a router has started for this instance. */
function launchedWorkers(): number[] {
  const words = ['/services/worker/src/main.ts', '--launcher.type=process', `--service.jid=${jid}`]
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && words.every(word => commandLine(Number(name)).includes(word)))
    .map(Number)
}

test('with launcher.type = process the router starts the workers, which get into NATS, and none is left behind', async () => {
  await using here = await world()
  const cfg = join(here.dir, 'parrot.cfg')
  await writeFile(cfg, readFileSync(here.cfg, 'utf8').replace(/^backend = .*$/m, 'backend = parrot'), { mode: 0o600 })
  const args = ['--config', cfg, '--launcher.type=process', '--launcher.min_workers=2']
  await using romeo = await XmppClient.connect({
    port: here.prosody.clientPort,
    domain: 'localhost',
    name: 'romeo',
    password: 'x',
  })
  try {
    const port = await freePorts()
    await using first = launch(...args, `--http.port=${port}`)
    await untilReady(first)
    const query = '<query xmlns="jabber:iq:register"><username>romeo</username><password/></query>'
    await waitUntil(async () => (await romeo.request('set', jid, query)).attrs.type === 'result')
    romeo.sends(xml`<presence to="${jid}"/>`)
    await romeo.receives(xml`<presence from="${jid}"/>`, { deadlineMs: 30_000 })
    romeo.sends(xml`<message to="${`polly@${jid}`}" type="chat"><body>hello</body></message>`)
    await romeo.receives(xml`<message from="${`polly@${jid}`}"><body>hello</body></message>`, { deadlineMs: 30_000 })
    await waitUntil(() => launchedWorkers().length === 2, { describe: () => first.log })
    const below = descendants(first.pid)
    const workers = below.filter(pid => commandLine(pid).includes('/services/worker/'))
    assert.deepEqual(workers.sort(), launchedWorkers().sort(), 'no worker beside those of the router')
    const seed = /SU[A-Z2-7]{56}/
    for (const pid of below) assert.doesNotMatch(commandLine(pid), seed)
    assert.doesNotMatch(first.log, seed)
    for (const pid of workers)
      await waitUntil(() => new RegExp(`^\\S+ worker ${pid}: the service runs`, 'm').test(first.log), {
        describe: () => first.log,
      })
    assert.doesNotMatch(first.log, /Authorization|nkey_seed|error:/)
    const metrics = await (await fetch(`http://127.0.0.1:${port + 2}/metrics`)).text()
    assert.match(metrics, /service="worker"/)
    // The router that is started again has them.
    const router = below.find(pid => commandLine(pid).includes('/services/router/'))
    assert.ok(router !== undefined)
    process.kill(router, 'SIGKILL')
    await waitUntil(() => first.log.includes('workers that another router started are adopted'), {
      deadlineMs: 30_000,
      describe: () => first.log,
    })
    assert.deepEqual(launchedWorkers().sort(), workers.sort())
    await first.kill('SIGTERM')
    assert.equal(first.exitCode, 0, first.log)
    // Whose parent was killed may stay in the list of processes when they have ended.
    assert.deepEqual([...below.filter(pid => commandLine(pid) !== ''), ...launchedWorkers()], [])

    // A start that is killed cannot stop them: the next one does, since they know only a nats-server that is gone.
    await using second = launch(...args)
    await untilReady(second)
    await waitUntil(() => launchedWorkers().length === 2, { describe: () => second.log })
    const left = launchedWorkers()
    const starter = descendants(second.pid).find(pid => commandLine(pid).includes('start.ts'))
    assert.ok(starter !== undefined)
    process.kill(starter, 'SIGKILL')
    await second.ended
    assert.deepEqual(launchedWorkers().sort(), left.sort())
    await using third = launch(...args)
    await untilReady(third)
    assert.ok(!left.some(pid => launchedWorkers().includes(pid)), third.log)
    await third.kill('SIGTERM')
    assert.deepEqual(launchedWorkers(), [])
  } finally {
    for (const pid of launchedWorkers()) process.kill(pid, 'SIGKILL')
  }
})

test('each process that dies is started again, nats-server too', async () => {
  await using here = await world()
  await using gateway = launch('--config', here.cfg)
  await untilReady(gateway)
  for (const part of ['nats-server', '/services/router/', '/services/worker/', '/services/frontend/']) {
    const find = () => descendants(gateway.pid).filter(pid => commandLine(pid).includes(part))
    const [victim, ...others] = find()
    assert.ok(victim !== undefined && others.length === 0, `one process of ${part}`)
    process.kill(victim, 'SIGKILL')
    await waitUntil(() => find().some(pid => pid !== victim), { describe: () => gateway.log })
  }
  assert.match(gateway.log, /nats-server ended .*starting it again/)
})

test('the playground starts again whatever dies, juliet comes back, and it ends in seconds', async () => {
  await using playground = launch()
  await waitUntil(() => playground.log.includes('Ctrl-C stops'), { deadlineMs: 60_000, describe: () => playground.log })
  const find = (pattern: RegExp) => pattern.exec(playground.log)?.slice(1) ?? []
  const [password = '', port = ''] = find(/account romeo@localhost, password (\S+), server 127\.0\.0\.1 port (\d+)/)
  const [second = ''] = find(/mercutio@localhost, password ([^;\s]+)/)
  const [ircPort = ''] = find(/IRC +server 127\.0\.0\.1 port (\d+)/)
  for (const service of ['router', 'worker', 'frontend']) {
    const [page = ''] = find(new RegExp(`(http://127\\.0\\.0\\.1:\\d+/metrics) \\(${service}\\)`))
    assert.match(await (await fetch(page)).text(), new RegExp(`service="${service}"`))
  }
  const login = { port: Number(port), domain: 'localhost' }
  {
    await using mercutio = await XmppClient.connect({ ...login, name: 'mercutio', password: second })
    assert.match(mercutio.jid, /^mercutio@/)
  }
  for (const part of ['ngircd', 'prosody.lua', 'nats-server', '/services/worker/']) {
    const running = () => descendants(playground.pid).filter(pid => commandLine(pid).includes(part))
    const [victim] = running()
    assert.ok(victim !== undefined, part)
    process.kill(victim, 'SIGKILL')
    await waitUntil(() => running().some(pid => pid !== victim), { describe: () => `${part}: ${playground.log}` })
  }
  for (const name of ['ngircd', 'prosody', 'nats-server', 'worker 1'])
    await waitUntil(() => new RegExp(`^${name} ended \\(.*\\); starting it again$`, 'm').test(playground.log), {
      describe: () => playground.log,
    })
  // Prosody's death was told, so its return is.
  await waitUntil(() => /component disconnected.*component connected \(host=127/s.test(playground.log), {
    deadlineMs: 30_000,
    describe: () => playground.log,
  })
  await using friend = await waitUntil(
    () => IrcClient.connect({ port: Number(ircPort), nick: 'friend' }).catch(() => undefined),
    { deadlineMs: 30_000, describe: () => playground.log },
  )
  await friend.join('#balcony')
  const isHere = async () => {
    friend.send('NAMES #balcony')
    return / :.*juliet/.test(await friend.waitFor(/^\S+ 353 /))
  }
  await waitUntil(isHere, { deadlineMs: 30_000, describe: () => playground.log })
  await using romeo = await waitUntil(
    () => XmppClient.connect({ ...login, name: 'romeo', password }).catch(() => undefined),
    { deadlineMs: 30_000, describe: () => playground.log },
  )
  const room = `#balcony@${jid}`
  const isJoined = async () => {
    romeo.sends(xml`<presence to="${`${room}/romeo`}"><x xmlns="http://jabber.org/protocol/muc"/></presence>`)
    return romeo
      .receives('<message type="groupchat"><subject/></message>', { deadlineMs: 2000 })
      .then(Boolean, () => false)
  }
  await waitUntil(isJoined, { deadlineMs: 60_000, describe: () => playground.log })
  for (const text of ['x'.repeat(900), 'still there'])
    romeo.sends(xml`<message to="${room}" type="groupchat"><body>${text}</body></message>`)
  await romeo.receives(stanza => /still there\? So it is on IRC, too/.test(stanza.getChildText('body') ?? ''), {
    deadlineMs: 20_000,
  })
  // None of them comes back.
  const below = descendants(playground.pid)
  const begun = performance.now()
  for (const part of ['ngircd', 'prosody.lua', 'nats-server'])
    for (const pid of below.filter(pid => commandLine(pid).includes(part))) process.kill(pid, 'SIGKILL')
  await playground.kill('SIGINT')
  const tookMs = performance.now() - begun
  assert.equal(playground.exitCode, 0, playground.log)
  assert.ok(tookMs < 10_000, `${tookMs} ms:\n${playground.log}`)
  console.log(`ended after ${Math.round(tookMs)} ms`)
  assert.deepEqual(below.filter(isAlive), [])
})

test('what cannot work is said in one sentence', async () => {
  await using here = await world()
  const port = await freePort()
  await using occupied = createServer()
  occupied.listen(port, '127.0.0.1')
  await once(occupied, 'listening')
  const readOnly = join(here.dir, 'file')
  await writeFile(readOnly, '')
  await mkdir(join(here.dir, 'other'))
  await chmod(join(here.dir, 'other'), 0o700)
  const cases: [string[], RegExp][] = [
    [['--frobnicate'], /^--frobnicate: is not a known flag$/m],
    [['--config', here.cfg, '--service.nonsense=1'], /^--service\.nonsense: is not a known option/m],
    [['--config', join(here.dir, 'none.cfg')], /^\S+none\.cfg: the configuration file cannot be read \(ENOENT\)$/],
    [
      ['--config', here.cfg, '--irc.flood_rate=-1'],
      /^The configuration cannot be used:\n {2}--irc\.flood_rate: must be at least 0$/m,
    ],
    [['--config', here.cfg, `--http.port=${port}`], /^Port \d+ is in use by another program/m],
    [['--config', here.cfg, `--database.database=${readOnly}/x.sql`], /^The folder \S+ cannot be written \(E[A-Z]+\)/m],
  ]
  for (const [args, sentence] of cases) {
    await using gateway = launch(...args)
    await waitUntil(() => !gateway.isRunning, { deadlineMs: 60_000, describe: () => gateway.log })
    await gateway.ended
    assert.match(gateway.log, sentence)
    const global = new RegExp(sentence.source.replaceAll('^', ''), 'gm')
    assert.equal(gateway.log.match(global)?.length, 1, gateway.log)
    assert.equal(gateway.exitCode, 1)
    assert.ok(!gateway.lines.some(line => line.startsWith('ready:')))
  }
})

test('a wrong secret ends the start at once, with one sentence at the end', async () => {
  await using here = await world()
  await using gateway = launch('--config', here.cfg, '--service.password=wrong')
  const begun = performance.now()
  await gateway.ended
  const tookMs = performance.now() - begun
  assert.match(gateway.lines.at(-1) ?? '', /^The XMPP server at \S+ refuses the secret of irc\.localhost/)
  assert.equal(gateway.exitCode, 1)
  assert.ok(tookMs < 15_000, `${tookMs} ms: ${gateway.log}`)
  console.log(`ended after ${Math.round(tookMs)} ms`)
})

test('a component that the XMPP server does not have is named, and waited for', async () => {
  await using here = await world()
  await using gateway = launch('--config', here.cfg, '--service.jid=other.localhost')
  const sentence = /^The XMPP server at \S+ has no component other\.localhost: please check service\.jid/
  await waitUntil(() => gateway.lines.some(line => sentence.test(line)), {
    deadlineMs: 60_000,
    describe: () => gateway.log,
  })
  assert.doesNotMatch(gateway.log, /cannot be reached|host-unknown/)
})

test('--help prints how it is used', async () => {
  await using help = launch('--help')
  await help.ended
  assert.equal(help.exitCode, 0, help.log)
  assert.match(help.log, /--config FILE/)
})

test('a setting that is not used as written is told once, after ready, with its line', async () => {
  await using here = await world()
  const text = readFileSync(here.cfg, 'utf8').replace('[identity]', 'irc_sever = x\n[identity]')
  await writeFile(here.cfg, text, { mode: 0o600 })
  await using gateway = launch('--config', here.cfg, '--nats.servers=nats://127.0.0.1:4222')
  await untilReady(gateway)
  const expected = [
    /^warning: \S+irc\.cfg:8: service\.backend: \S+ does not exist; the built-in network irc is used$/,
    /^warning: \S+irc\.cfg:10: service\.irc_sever: is not a known option; did you mean service\.irc_server\?$/,
    /^warning: nats\.servers: is not used here: npm start runs a nats-server of its own$/,
  ]
  const find = (pattern: RegExp) => gateway.lines.filter(line => pattern.test(line))
  await waitUntil(() => expected.every(pattern => find(pattern).length > 0), { describe: () => gateway.log })
  await gateway.stop()
  for (const pattern of expected) assert.equal(find(pattern).length, 1, gateway.log)
  assert.doesNotMatch(gateway.log, /not used as written/)
  const at = (pattern: RegExp) => gateway.lines.findIndex(line => pattern.test(line))
  assert.ok(at(/^warning: /) > at(/^ready: /), gateway.log)
})

test('a database that is not there is named with its options', async () => {
  await using here = await world()
  const port = await freePort()
  await using gateway = launch('--config', here.cfg, '--database.type=pqxx', `--database.port=${port}`)
  const sentence = `The PostgreSQL server at localhost:${port} cannot be used yet`
  await waitUntil(() => gateway.log.includes(sentence), { deadlineMs: 60_000, describe: () => gateway.log })
  assert.match(gateway.log, /database\.server and database\.port/)
})

test('what a killed start has left behind is removed by the next', async () => {
  await using here = await world()
  await using first = launch('--config', here.cfg)
  await untilReady(first)
  const folders = (pid: number) => readdirSync(tmpdir()).filter(name => name.includes(`-${pid}-`))
  const starter = descendants(first.pid).find(pid => commandLine(pid).includes('start.ts'))
  assert.ok(starter !== undefined && folders(starter).length > 0, `folders of ${starter}`)
  process.kill(starter, 'SIGKILL')
  await first.ended
  await using next = launch('--config', here.cfg)
  await untilReady(next)
  assert.deepEqual(folders(starter), [])
})

test('an XMPP server that is not there yet is waited for', async () => {
  await using here = await world()
  const { prosody } = here
  await prosody.stop()
  await using gateway = launch('--config', here.cfg)
  await waitUntil(() => gateway.log.includes('cannot be reached yet'), {
    deadlineMs: 60_000,
    describe: () => gateway.log,
  })
  await prosody.start()
  await untilReady(gateway)
})
