import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { type ProsodyServer, startProsody, waitUntil, XmppClient } from '@spectrum/stack'
import { addressTo, Component, type ComponentOptions, type Element, messageStanza, textOf } from '../src/index.ts'

const domain = 'localhost'
const gateway = { jid: 'gw.localhost', secret: 'open sesame' }

describe('a component of a real Prosody', () => {
  let prosody: ProsodyServer
  before(async () => {
    prosody = await startProsody({ domain, component: gateway, users: [{ name: 'romeo', password: 'montague' }] })
  })
  after(() => prosody[Symbol.asyncDispose]())

  const connect = (context: TestContext, change: Partial<ComponentOptions> = {}) => {
    const stanzas: Element[] = []
    const lines: string[] = []
    const component = new Component({
      host: '127.0.0.1',
      port: prosody.componentPort,
      domain: gateway.jid,
      secret: gateway.secret,
      resource: 'frontend-1',
      log: { info: (_, line) => lines.push(line), warn: (_, line) => lines.push(line) },
      onStanza: stanza => stanzas.push(stanza),
      ...change,
    })
    component.start()
    // Also when the test fails: a component left behind would connect for ever.
    context.after(() => component.stop(0))
    return { component, stanzas, lines }
  }
  const login = () =>
    XmppClient.connect({
      port: prosody.clientPort,
      domain,
      name: 'romeo',
      password: 'montague',
      resource: 'orchard',
    })

  test('stanzas go both ways, and each write is confirmed in order', async context => {
    await using romeo = await login()
    const { component, stanzas } = connect(context)
    romeo.sends('<message to="juliet@gw.localhost" type="chat"><body>é&amp;😀</body></message>')
    await waitUntil(() => component.isOnline, { deadlineMs: 10_000 })
    romeo.sends('<message to="juliet@gw.localhost" type="chat"><body>é&amp;😀</body></message>')
    await waitUntil(() => stanzas.length > 0, { deadlineMs: 10_000 })
    assert.equal(textOf(stanzas.at(-1) as Element, 'body'), 'é&😀')

    const confirmed: number[] = []
    for (let n = 0; n < 1_000; n++) {
      const xml = addressTo(
        messageStanza({ from: 'juliet@gw.localhost', type: 'chat' }, `<body>${n}</body>`),
        romeo.jid,
      )
      component.send({ stanzas: [xml], onConfirmed: () => confirmed.push(n) })
    }
    await waitUntil(() => confirmed.length === 1_000, { deadlineMs: 20_000, describe: () => `${confirmed.length}` })
    assert.deepEqual(confirmed, [...confirmed.keys()])
    await romeo.receives('<message><body>999</body></message>')
    assert.equal(await component.stop(), 0)
  })

  test('an answer that the component sends to its process in the name of a user comes back, as barriers do that are late', async context => {
    const { component, stanzas } = connect(context)
    await waitUntil(() => component.isOnline, { deadlineMs: 10_000 })
    component.send({ stanzas: [`<iq type="result" id="x" from="barrier-1@${gateway.jid}" to="${component.jid}"/>`] })
    const { attrs } = await waitUntil(() => stanzas.find(({ name }) => name === 'iq'), { deadlineMs: 10_000 })
    assert.deepEqual([attrs.type, attrs.id, attrs.to], ['result', 'x', component.jid])
    assert.equal(await component.stop(), 0)
  })

  test('a wrong secret is told and tried again, and stopping does not wait for it', async context => {
    const { component, lines } = connect(context, { secret: 'wrong' })
    await waitUntil(() => lines.some(line => line.includes('refuses the component secret')), { deadlineMs: 10_000 })
    assert.equal(await component.stop(), 0)
  })

  test('a name that the server does not have is told as one', async context => {
    const { lines } = connect(context, { domain: 'other.localhost' })
    await waitUntil(() => lines.some(line => line.includes('no component of this name (service.jid)')), {
      deadlineMs: 10_000,
      describe: () => lines.join('\n'),
    })
  })

  test('what was unconfirmed when the server died arrives after its return, in order', async context => {
    const { component } = connect(context)
    await waitUntil(() => component.isOnline, { deadlineMs: 10_000 })
    await prosody.kill()
    const confirmed: number[] = []
    for (let n = 0; n < 500; n++) {
      const xml = addressTo(
        messageStanza({ from: 'juliet@gw.localhost', type: 'chat' }, `<body>${n}</body>`),
        'romeo@localhost',
      )
      component.send({ stanzas: [xml], onConfirmed: () => confirmed.push(n) })
    }
    await prosody.restart()
    await waitUntil(() => confirmed.length === 500, { deadlineMs: 30_000, describe: () => `${confirmed.length}` })
    assert.deepEqual(confirmed, [...confirmed.keys()])
  })

  test('a stanza beyond the limit is refused before the server closes the stream for it', async context => {
    await using romeo = await login()
    const discarded: string[] = []
    const { component } = connect(context, { onDiscarded: (reason, stanzas) => discarded.push(`${stanzas} ${reason}`) })
    await waitUntil(() => component.isOnline, { deadlineMs: 10_000 })
    const withId = (id: string) => addressTo(messageStanza({ from: 'juliet@gw.localhost', id }, '<body/>'), romeo.jid)
    assert.equal(component.send({ stanzas: [withId("'".repeat(250_000)), withId('small')] }), 1)
    await romeo.receives('<message id="small"/>')
    assert.deepEqual([discarded, component.isOnline], [['1 too-large'], true])
    assert.equal(await component.stop(), 0)
  })

  test('an item that the server closes the stream for is found and given up, the others arrive', async context => {
    await using romeo = await login()
    const { component } = connect(context, { random: () => 0 })
    await waitUntil(() => component.isOnline, { deadlineMs: 10_000 })
    const outcome: string[] = []
    const send = (name: string, xml: string) =>
      component.send({
        stanzas: [xml],
        onConfirmed: () => outcome.push(name),
        onPoison: () => outcome.push(`${name} is poison`),
      })
    const good = (body: string) =>
      addressTo(messageStanza({ from: 'juliet@gw.localhost' }, `<body>${body}</body>`), romeo.jid)
    send('first', good('first'))
    send('second', '<message to="romeo@localhost"><body>\u0003</body></message>')
    send('third', good('third'))
    await waitUntil(() => outcome.length === 3, { deadlineMs: 60_000, describe: () => outcome.join() })
    assert.deepEqual(outcome.sort(), ['first', 'second is poison', 'third'])
    await romeo.receives('<message><body>third</body></message>')
  })
})

test('two that both hold the domain by mistake do not take turns (Prosody with kick_old)', async context => {
  await using prosody = await startProsody({ domain, component: gateway, conflictResolve: 'kick_old' })
  const connect = (resource: string) => {
    const lines: string[] = []
    const component = new Component({
      host: '127.0.0.1',
      port: prosody.componentPort,
      domain: gateway.jid,
      secret: gateway.secret,
      resource,
      // The shortest delays that there are.
      random: () => 0,
      log: { info: (_, line) => lines.push(line), warn: (_, line) => lines.push(line) },
      onStanza: () => undefined,
    })
    context.after(() => component.stop(0))
    component.start()
    return { component, streams: () => lines.filter(line => line === 'component connected').length, lines }
  }
  const first = connect('one')
  await waitUntil(() => first.component.isOnline)
  const second = connect('two')
  await waitUntil(() => second.component.isOnline && !first.component.isOnline)
  const kickedAt = performance.now()
  assert.equal(first.component.isContested, true)
  await waitUntil(() => first.component.isOnline, { deadlineMs: 50_000 })
  const gaveWayMs = performance.now() - kickedAt
  assert.equal(first.component.isContested, false)
  context.diagnostic(`the one that was thrown out tried again after ${Math.round(gaveWayMs)} ms`)
  assert.ok(gaveWayMs > 9_000, `${gaveWayMs} ms`)
  await waitUntil(() => second.component.isOnline, { deadlineMs: 50_000 })
  assert.deepEqual([first.streams(), second.streams()], [2, 2])
  assert.equal(first.lines.filter(line => /another connection has taken/.test(line)).length, 2)
})
