import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort, waitUntil } from '@spectrum/stack'
import { ComponentStream } from '../src/component-stream.ts'
import { Component, type ComponentOptions, type Element, textOf } from '../src/index.ts'
import { UnrulyServer } from './server.ts'

function connect(
  context: TestContext,
  server: Pick<UnrulyServer, 'port' | 'secret'>,
  change: Partial<ComponentOptions> = {},
) {
  const stanzas: Element[] = []
  const lines: string[] = []
  const component = new Component({
    host: '127.0.0.1',
    port: server.port,
    domain: 'gw.localhost',
    secret: server.secret,
    resource: 'f',
    maxStanzaBytes: 20_000,
    random: () => 0,
    log: { info: (_, line) => lines.push(line), warn: (_, line) => lines.push(line) },
    onStanza: stanza => stanzas.push(stanza),
    ...change,
  })
  component.start()
  // Also when the test fails: a component left behind would connect for ever.
  context.after(() => component.stop(0))
  return { component, stanzas, lines }
}

describe('a component of a server that misbehaves', { concurrency: true }, () => {
  const garbage = {
    'a character that XML does not have': '<message><body>&#1;</body></message>',
    'elements that overlap': '<message><a></message>',
    'an end and more': '</stream:stream><message/>',
    'binary data': '\u0000\u0001</>>><<',
  }
  for (const [what, text] of Object.entries(garbage)) {
    test(`connects again after ${what}`, async context => {
      await using server = await UnrulyServer.start()
      const { component } = connect(context, server)
      await waitUntil(() => component.isOnline)
      server.last.write(text)
      server.last.write('<presence/>'.repeat(1_000))
      await waitUntil(() => server.sockets.length === 2 && component.isOnline, { deadlineMs: 15_000 })
    })
  }

  test('asks for the domain when it may, and again when the server did not wait for that', async context => {
    await using server = await UnrulyServer.start()
    const asked: (() => void)[] = []
    const { component } = connect(context, server, {
      beforeHandshake: () => new Promise<void>(resolve => asked.push(resolve)),
    })
    await waitUntil(() => asked.length === 1)
    await delay(300)
    assert.equal(server.sockets.length, 0)
    server.hangUp()
    await waitUntil(() => asked.length === 2)
    // Too late for the stream that has ended.
    asked[0]?.()
    await delay(300)
    assert.equal(server.sockets.length, 0)
    assert.equal(component.isOnline, false)
    asked[1]?.()
    await waitUntil(() => component.isOnline)
    assert.equal(server.sockets.length, 1)
  })

  test('tries again at once when others are known to reach the server, unless it was refused', async context => {
    const port = await freePort()
    let handshakes = 0
    const { component, lines } = connect(
      context,
      { port, secret: 'open sesame' },
      { beforeHandshake: async () => void handshakes++ },
    )
    assert.equal(component.hurry(), true, 'the first try is under way')
    await waitUntil(() => lines.includes('component connection failed'))
    // With random = 0 tries are 125 ms apart at first, and 1.4 s from the seventh on.
    await delay(4_000)
    await using server = await UnrulyServer.start(port)
    const begun = performance.now()
    assert.equal(component.hurry(), true)
    await waitUntil(() => component.isOnline, { everyMs: 5 })
    assert.ok(performance.now() - begun < 500)
    assert.equal(component.hurry(), false, 'it is connected')

    server.isMute = true
    server.hangUp()
    await waitUntil(() => handshakes === 2)
    // Two whom the server refuses would hurry each other without an end.
    assert.equal(component.hurry(), false)
    server.hangUp()
    await waitUntil(() => handshakes === 3)
    assert.equal(component.hurry(), false)
  })

  test('stops while it may not ask for the domain yet', async context => {
    await using server = await UnrulyServer.start()
    let isAsked = false
    const { component } = connect(context, server, {
      beforeHandshake: () => {
        isAsked = true
        return new Promise<void>(() => undefined)
      },
    })
    await waitUntil(() => isAsked)
    const begun = performance.now()
    await component.stop(0)
    assert.ok(performance.now() - begun < 2_000)
    assert.equal(server.sockets.length, 0)
  })

  test('what the server said before its end is read, though what we write meanwhile fails', async context => {
    await using server = await UnrulyServer.start()
    let isOnline = false
    let read = 0
    const stream = new ComponentStream(
      {
        host: '127.0.0.1',
        port: server.port,
        domain: 'gw.localhost',
        secret: server.secret,
        limits: { maxDepth: 64, maxStanzaLength: 20_000, maxPendingLength: 1_000_000 },
        log: { info: () => undefined, warn: () => undefined },
      },
      {
        onOnline: () => {
          isOnline = true
        },
        onOffline: () => {
          isOnline = false
        },
        onStanza: () => void read++,
        onDrain: () => undefined,
      },
    )
    context.after(() => stream.stop())
    stream.start()
    await waitUntil(() => isOnline)
    server.last.setNoDelay(true)
    // In one turn of the event loop: nothing is read in between.
    server.last.write('<message/>'.repeat(1_000))
    server.last.resetAndDestroy()
    for (let n = 0; n < 3; n++) stream.write('<message/>')
    await waitUntil(() => !isOnline)
    assert.equal(read, 1_000)
    await waitUntil(() => isOnline, { deadlineMs: 15_000 })
  })

  test('reads characters that lie across two chunks, and stanzas that are too large as empty ones', async context => {
    await using server = await UnrulyServer.start()
    const { component, stanzas } = connect(context, server)
    await waitUntil(() => component.isOnline)
    const bytes = Buffer.from('<message><body>é😀ß</body></message>')
    for (const byte of bytes) {
      server.last.write(Buffer.from([byte]))
      await delay(1)
    }
    server.last.write(`<message id="large"><body>${'x'.repeat(100_000)}</body></message><message id="next"/>`)
    await waitUntil(() => stanzas.length === 3)
    assert.equal(textOf(stanzas[0] as Element, 'body'), 'é😀ß')
    assert.deepEqual([stanzas[1]?.attrs.id, stanzas[1]?.children.length], ['large', 0])
  })

  test('does not read while it is paused', async context => {
    await using server = await UnrulyServer.start()
    const { component, stanzas } = connect(context, server)
    await waitUntil(() => component.isOnline)
    component.pause()
    server.last.write(`<message><body>${'x'.repeat(1_000)}</body></message>`.repeat(20_000))
    await waitUntil(() => server.last.writableLength > 0, { describe: () => 'the server could write all' })
    const read = stanzas.length
    component.resume()
    await waitUntil(() => stanzas.length === 20_000, { describe: () => `${read} then ${stanzas.length}` })
    assert.ok(read < 10_000, `${read} were read while paused`)
  })

  test('gives way to another connection of its domain, and says so once', { timeout: 90_000 }, async context => {
    await using server = await UnrulyServer.start()
    const { component, lines } = connect(context, server)
    await waitUntil(() => component.isOnline)
    server.last.end(
      '<stream:error><conflict xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error></stream:stream>',
    )
    await waitUntil(() => !component.isOnline)
    const lostAt = performance.now()
    await waitUntil(() => server.sockets.length === 2, { deadlineMs: 60_000, describe: () => lines.join() })
    // Ten seconds for whoever came instead; a stream lost otherwise is back within one.
    const awayMs = performance.now() - lostAt
    assert.ok(awayMs > 9_000, `back after ${awayMs} ms`)
    assert.equal(lines.filter(line => line.includes('another connection')).length, 1)
  })

  test('gives a handshake up that nobody answers', async context => {
    await using server = await UnrulyServer.start()
    server.isMute = true
    const { component, lines } = connect(context, server)
    await waitUntil(() => lines.length > 0, { deadlineMs: 30_000 })
    server.isMute = false
    await waitUntil(() => component.isOnline, { deadlineMs: 30_000, describe: () => lines.join() })
  })

  test('counts as confirmed what the server returns, and not what a user sends who knows the barrier', async context => {
    await using server = await UnrulyServer.start()
    const { component, stanzas } = connect(context, server)
    await waitUntil(() => component.isOnline)
    component.send({ stanzas: ['<message/>'] })
    const id = await waitUntil(() => /id="(barrier-[^"]+)"/.exec(server.received)?.[1])
    const returns = (from: string) =>
      server.last.write(`<iq type="result" id="${id}" from="${from}" to="gw.localhost/f"/>`)
    returns('eve@localhost/pc')
    returns('gw.localhost@localhost/gw.localhost')
    await waitUntil(() => stanzas.length === 2)
    assert.equal(component.backlog, 1)
    returns('gw.localhost')
    await waitUntil(() => component.backlog === 0)
    assert.equal(stanzas.length, 2)
  })

  test('takes a stream for dead whose barriers do not return', { timeout: 60_000 }, async context => {
    await using server = await UnrulyServer.start()
    const { component, lines } = connect(context, server)
    await waitUntil(() => component.isOnline)
    component.send({ stanzas: ['<message/>'] })
    await waitUntil(() => server.received.includes('urn:xmpp:ping'))
    await waitUntil(() => server.sockets.length === 2, { deadlineMs: 40_000, describe: () => lines.join() })
    await waitUntil(() => server.received.startsWith('<message/>'), { describe: () => server.received })
  })
})
