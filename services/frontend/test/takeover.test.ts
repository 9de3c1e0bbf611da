import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { MessageReceived, Show } from '@spectrum/messages'
import {
  freePort,
  type NatsServer,
  type ProsodyServer,
  startNats,
  startProsody,
  waitUntil,
  XmppClient,
} from '@spectrum/stack'
import { flagsOf, type Surroundings } from './frontend-process.ts'
import { Neighbours } from './neighbours.ts'

const jid = 'irc.localhost'
const secret = 'hush-hush-9000'
const romeoJid = 'romeo@localhost'

/** A frontend as it runs in production, with its readiness. */
class Frontend implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #url: string
  log = ''

  private constructor(child: ChildProcess, url: string) {
    this.#child = child
    this.#url = url
    child.stdout?.setEncoding('utf8').on('data', text => {
      this.log += text
    })
    child.stderr?.setEncoding('utf8').on('data', text => {
      this.log += text
    })
  }

  static async start(surroundings: Surroundings): Promise<Frontend> {
    const port = await freePort()
    // A secret never stands among the arguments of a process.
    const flags = flagsOf(surroundings).filter(flag => !flag.startsWith('--service.password='))
    const main = join(import.meta.dirname, '../src/main.ts')
    const child = spawn(process.execPath, [main, ...flags, `--http.port=${port}`], {
      env: { ...process.env, SPECTRUM_SERVICE_PASSWORD: surroundings.secret },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const frontend = new Frontend(child, `http://127.0.0.1:${port}`)
    await waitUntil(() => frontend.isReady(), { deadlineMs: 30_000, describe: () => frontend.log })
    return frontend
  }

  async isReady(): Promise<boolean> {
    return (await this.get('/readyz')).status === 200
  }

  async isActive(): Promise<boolean> {
    return /^spectrum_frontend_active\{[^}]*\} 1$/m.test((await this.get('/metrics')).text)
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    try {
      const response = await fetch(this.#url + path)
      return { status: response.status, text: await response.text() }
    } catch {
      return { status: 0, text: 'does not listen yet' }
    }
  }

  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#child.exitCode
    const exit = once(this.#child, 'exit')
    this.#child.kill(signal)
    const [code] = await exit
    return code
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL')
  }
}

describe('two frontends of one component', () => {
  let prosody: ProsodyServer
  let nats: NatsServer
  let neighbours: Neighbours
  let surroundings: Surroundings

  before(async () => {
    prosody = await startProsody({
      component: { jid, secret },
      users: [{ name: 'romeo', password: 'secret' }],
      conflictResolve: 'kick_old',
    })
    nats = await startNats()
    neighbours = await Neighbours.start(nats.url, jid)
    neighbours.registered.set(romeoJid, { username: 'romeo', password: '' })
    surroundings = { jid, secret, natsUrl: nats.url, componentPort: prosody.componentPort }
  })
  after(async () => {
    await neighbours?.[Symbol.asyncDispose]()
    await nats?.[Symbol.asyncDispose]()
    await prosody?.[Symbol.asyncDispose]()
  })
  const login = () =>
    XmppClient.connect({
      port: prosody.clientPort,
      domain: 'localhost',
      name: 'romeo',
      password: 'secret',
      resource: 'orchard',
    })
  const say = (body: string) =>
    neighbours.tell(`${romeoJid}/orchard`, {
      $case: 'messageReceived',
      value: MessageReceived.fromPartial({ from: { name: 'tybalt' }, body }),
    })

  test('the standby takes over from one that was killed, and everything arrives in order', async context => {
    await using first = await Frontend.start(surroundings)
    await waitUntil(() => first.isActive(), { describe: () => first.log })
    await using second = await Frontend.start(surroundings)
    assert.equal(await second.isActive(), false)
    await using romeo = await login()
    romeo.sends(`<presence to="${jid}"/>`)
    await neighbours.command('setPresence')
    const bodies = Array.from({ length: 2_000 }, (_, n) => `line ${n}`)
    for (const body of bodies.slice(0, 1_000)) say(body)
    await romeo.receives(`<message><body>${bodies[500]}</body></message>`, { deadlineMs: 20_000 })
    const killedAt = performance.now()
    await first.end('SIGKILL')
    for (const body of bodies.slice(1_000)) say(body)
    await romeo.receives(`<message><body>${bodies[1_999]}</body></message>`, { deadlineMs: 40_000 })
    const gapMs = performance.now() - killedAt
    const arrived = romeo.stanzas.map(stanza => stanza.getChildText('body')).filter(body => body?.startsWith('line '))
    const distinct = [...new Set(arrived)]
    assert.deepEqual(distinct, bodies, 'nothing is lost or out of order')
    context.diagnostic(`the last line came ${Math.round(gapMs)} ms after the kill`)
    assert.ok(gapMs < 15_000, `the gap was ${gapMs} ms`)
    assert.ok(!romeo.stanzas.some(stanza => stanza.attrs.type === 'unavailable'), 'nobody was logged out')
    romeo.sends(`<message to="tybalt@${jid}" type="chat"><body>still here</body></message>`)
    assert.equal((await neighbours.command('sendMessage')).value.body, 'still here')
    assert.equal(neighbours.logins.length, 1)
    assert.equal(await second.end('SIGTERM'), 0, second.log)
    assert.doesNotMatch(first.log + second.log, new RegExp(secret))
    assert.match(second.log, /component connected/)
  })

  test('one that is asked to stop hands over, and loses nothing that was said to it', async context => {
    await using first = await Frontend.start(surroundings)
    await waitUntil(() => first.isActive(), { describe: () => first.log })
    await using second = await Frontend.start(surroundings)
    await using romeo = await login()
    for (let n = 0; n < 200; n++) {
      romeo.sends(`<message to="tybalt@${jid}" type="chat"><body>${n}</body></message>`)
      say(`event ${n}`)
    }
    for (let n = 0; n < 200; n++) assert.equal((await neighbours.command('sendMessage')).value.body, String(n))
    assert.equal(await first.end('SIGTERM'), 0, first.log)
    const endedAt = performance.now()
    await waitUntil(() => second.isActive(), { deadlineMs: 10_000, describe: () => second.log })
    await waitUntil(() => second.isReady(), { deadlineMs: 20_000, describe: () => second.log })
    context.diagnostic(`ready ${Math.round(performance.now() - endedAt)} ms after the other had ended`)
    say('handed over')
    await romeo.receives('<message><body>handed over</body></message>', { deadlineMs: 20_000 })
    const events = romeo.stanzas.map(stanza => stanza.getChildText('body')).filter(body => body?.startsWith('event '))
    assert.deepEqual(
      [...new Set(events)],
      Array.from({ length: 200 }, (_, n) => `event ${n}`),
    )
  })

  test('goes on after the bus was away: what was said meanwhile arrives', async () => {
    await using frontend = await Frontend.start(surroundings)
    await waitUntil(() => frontend.isActive(), { describe: () => frontend.log })
    await using romeo = await login()
    romeo.sends(`<message to="tybalt@${jid}" type="chat"><body>before</body></message>`)
    await neighbours.command('sendMessage')
    await nats.kill()
    for (let n = 0; n < 50; n++) romeo.sends(`<message to="tybalt@${jid}" type="chat"><body>away ${n}</body></message>`)
    await waitUntil(async () => !(await frontend.isReady()), { deadlineMs: 20_000 })
    await nats.start()
    for (let n = 0; n < 50; n++) assert.equal((await neighbours.command('sendMessage')).value.body, `away ${n}`)
    say('back')
    await romeo.receives('<message><body>back</body></message>', { deadlineMs: 40_000 })
    romeo.sends(`<presence type="unavailable" to="${jid}"/>`)
    assert.equal((await neighbours.command('setPresence')).value.show, Show.SHOW_OFFLINE)
    assert.equal(await frontend.end('SIGTERM'), 0, frontend.log)
  })

  test('a wrong secret is not ready, says why, and does not print it', async () => {
    const port = await freePort()
    const main = join(import.meta.dirname, '../src/main.ts')
    const flags = flagsOf(surroundings).filter(flag => !flag.startsWith('--service.password='))
    const child = spawn(process.execPath, [main, ...flags, `--http.port=${port}`], {
      env: { ...process.env, SPECTRUM_SERVICE_PASSWORD: 'something-wrong-77' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let log = ''
    child.stdout.setEncoding('utf8').on('data', text => {
      log += text
    })
    try {
      await waitUntil(() => log.includes('refuses the component secret'), { deadlineMs: 30_000, describe: () => log })
      const ready = await fetch(`http://127.0.0.1:${port}/readyz`)
      assert.equal(ready.status, 503)
      assert.equal((await ready.text()).trim(), 'the component is not connected')
      assert.doesNotMatch(log, /something-wrong-77/)
    } finally {
      const exit = once(child, 'exit')
      child.kill('SIGTERM')
      const [code] = await exit
      assert.equal(code, 0, log)
    }
  })
})
