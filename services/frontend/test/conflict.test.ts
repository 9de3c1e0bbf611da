import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { MessageReceived } from '@spectrum/messages'
import { type NatsServer, type ProsodyServer, startNats, startProsody, waitUntil, XmppClient } from '@spectrum/stack'
import { Frontend } from './frontend-child.ts'
import { Neighbours } from './neighbours.ts'
import { TcpProxy } from './tcp-proxy.ts'

const jid = 'irc.localhost'
const secret = 'hush-hush-9000'
const romeoJid = 'romeo@localhost'

describe('two frontends and a server that keeps the connection it has (Prosody with kick_new)', () => {
  let prosody: ProsodyServer
  let nats: NatsServer
  let neighbours: Neighbours

  before(async () => {
    prosody = await startProsody({
      component: { jid, secret },
      users: [{ name: 'romeo', password: 'secret' }],
      conflictResolve: 'kick_new',
    })
    nats = await startNats()
    neighbours = await Neighbours.start(nats.url, jid)
    neighbours.registered.set(romeoJid, { username: 'romeo', password: '' })
  })
  after(async () => {
    await neighbours?.[Symbol.asyncDispose]()
    await nats?.[Symbol.asyncDispose]()
    await prosody?.[Symbol.asyncDispose]()
  })
  const start = (componentPort = prosody.componentPort) =>
    Frontend.start({ jid, secret, natsUrl: nats.url, componentPort })
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
  const isServing = (frontend: Frontend) =>
    waitUntil(() => frontend.isServing(), { deadlineMs: 40_000, describe: () => frontend.log })
  const refusals = (frontend: Frontend) => frontend.log.match(/the server keeps another connection/g)?.length ?? 0

  test('the dead one’s connection is kept: said once with what to configure; the gap is told', async context => {
    await using proxy = await TcpProxy.start(prosody.componentPort)
    await using first = await start(proxy.port)
    await isServing(first)
    await using second = await start()
    await using romeo = await login()
    proxy.deaf(true)
    await first.end('SIGKILL')
    await waitUntil(() => refusals(second) > 0, { deadlineMs: 40_000, describe: () => second.log })
    assert.match(second.log, /component_conflict_resolve = \\"kick_old\\"/)
    assert.equal(await second.isReady(), false)
    await using _third = await start()
    say('are you there?')
    // By then it has been refused eight times more, and would have given way if another frontend were of use.
    const toldAt = performance.now()
    await waitUntil(() => performance.now() - toldAt > 10_000, { deadlineMs: 20_000 })
    assert.equal(refusals(second), 1, 'once')
    assert.equal(await second.isActive(), true)
    proxy.deaf(false)
    proxy.reset()
    await isServing(second)
    await romeo.receives('<message><body>are you there?</body></message>', { deadlineMs: 20_000 })
    const gap = await second.metric('frontend_gap_seconds')
    assert.ok(gap >= 4, `a gap of ${gap} s`)
    assert.match(second.log, /there was no component stream for so long/)
    context.diagnostic(`the gap: ${gap} s`)
  })

  test('a planned change: the one that stops ends its connection for the next', async () => {
    await using first = await start()
    await isServing(first)
    await using second = await start()
    await waitUntil(
      () => neighbours.worker.owners.processes('frontend').filter(({ info }) => info.link === 'standby').length === 1,
      { deadlineMs: 20_000 },
    )
    await using romeo = await login()
    assert.equal(await first.end('SIGTERM'), 0, first.log)
    assert.match(first.log, /the server keeps this connection; it is ended for the next one/)
    await isServing(second)
    say('still there')
    await romeo.receives('<message><body>still there</body></message>', { deadlineMs: 20_000 })
    assert.equal(await second.end('SIGTERM'), 0, second.log)
  })
})
