import assert from 'node:assert/strict'
import { scenario, waitUntil, xml } from '@spectrum/stack'
import { numbered } from './lines.ts'

scenario(
  'a frontend told to stop while NATS is away answers what it could not publish, and counts it',
  { isAlone: true, network: 'parrot', timeoutMs: 120_000 },
  async ({ romeo, gateway, stack, at }) => {
    const owned = await Promise.all(gateway.frontends.map(process => process.metric('spectrum_frontend_active')))
    const active = gateway.frontends[owned.indexOf(1)]
    assert.ok(active, 'no frontend is active')
    await stack.nats.kill()
    const lines = numbered('unsent', 100)
    for (const [index, text] of lines.entries())
      await romeo.sends(
        xml`<message to="${at('polly')}" type="chat" id="u${String(index)}"><body>${text}</body></message>`,
      )
    // The server hands a user's stanzas on in order: what it read last, it read after all the others.
    await waitUntil(
      async () =>
        (await active.metric('spectrum_frontend_stanzas_received_total', { kind: 'message' })) >= lines.length,
      { deadlineMs: 30_000 },
    )
    const begun = performance.now()
    const stopping = active.hold('SIGTERM')
    // Metrics are served almost to the end.
    let counted = 0
    const count = (reason: string) => active.metric('spectrum_dropped_total', { reason }).catch(() => 0)
    await waitUntil(
      async () => {
        const counts = await Promise.all(['unpublished-at-stop', 'uncertain-at-stop'].map(count))
        counted = Math.max(
          counted,
          counts.reduce((sum, each) => sum + each, 0),
        )
        return counted >= lines.length || !active.child.isRunning
      },
      { deadlineMs: 60_000, everyMs: 10 },
    )
    await stopping
    // The last ones may be counted right before the end, when nobody could ask any more: the log tells them.
    const told = active.child.lines
      .flatMap(line => /"commands":(\d+).*commands could not be published and were answered/.exec(line)?.[1] ?? [])
      .reduce((sum, commands) => sum + Number(commands), 0)
    assert.ok(Math.max(counted, told) >= lines.length, `${counted} of ${lines.length} lines were counted, ${told} told`)
    const seconds = (performance.now() - begun) / 1000
    assert.ok(seconds < 13, `it took ${seconds} s to stop`)
    const answered = () =>
      new Set(romeo.client.stanzas.filter(({ attrs }) => attrs.type === 'error').map(({ attrs }) => attrs.id))
    await waitUntil(() => answered().size >= lines.length, {
      deadlineMs: 10_000,
      describe: () => `${answered().size} of ${lines.length} lines were answered`,
    })
    await stack.nats.start()
    await active.resume()
  },
)

scenario(
  'every service that is told to stop when NATS has been away for longer than a lease ends by itself, in time',
  { isAlone: true, network: 'parrot', timeoutMs: 120_000 },
  async ({ romeo, gateway, stack, at }) => {
    await stack.nats.kill()
    // The lease is 12 s: from then on nothing can be owned.
    const away = performance.now()
    await waitUntil(() => performance.now() - away > 14_000, { deadlineMs: 20_000 })
    const took = await Promise.all(
      gateway.processes.map(async process => {
        const begun = performance.now()
        await process.hold('SIGTERM')
        const log = process.child.lines.slice(-8).join('\n')
        return { name: process.name, ms: Math.round(performance.now() - begun), code: process.child.exitCode, log }
      }),
    )
    for (const { name, ms, code, log } of took) {
      assert.ok(ms < 16_000, `${name} took ${ms} ms to stop:\n${log}`)
      assert.equal(code, 0, `${name} ended with ${code}:\n${log}`)
    }
    await stack.nats.start()
    await Promise.all(gateway.processes.map(process => process.resume()))
    await gateway.ready()
    await romeo.sends(xml`<message to="${at('polly')}" type="chat" id="again"><body>hello</body></message>`)
    await waitUntil(() => romeo.client.stanzas.some(({ attrs }) => String(attrs.from).startsWith(at('polly'))))
  },
)
