import assert from 'node:assert/strict'
import { scenario, waitUntil, xml } from '@spectrum/stack'

const metric = (name: string) => `spectrum_canary_${name}`

scenario(
  'the canary measures the whole way of a line, loses none to a killed worker, outlives the frontend that plays it, and tells of those that are swallowed',
  { network: 'parrot', isAlone: true, timeoutMs: 180_000, cfg: '[canary]\ninterval = 1\n' },
  async ({ romeo, gateway, at }) => {
    const sum = async (name: string) => {
      const values = await Promise.all(gateway.frontends.map(process => process.metric(metric(name)).catch(() => 0)))
      return values.reduce((total, value) => total + value, 0)
    }
    const returned = () => sum('latency_seconds_count')
    await waitUntil(async () => (await returned()) >= 3, { deadlineMs: 60_000 })
    assert.equal(await sum('lost_total'), 0)
    const registered = gateway.frontends
      .flatMap(({ log }) => log)
      .filter(({ msg }) => /canary has registered/.test(`${msg}`))
    assert.equal(registered.length, 1)

    await gateway.workers[0]?.kill()
    const before = await returned()
    await waitUntil(async () => (await returned()) >= before + 3, { deadlineMs: 60_000 })

    await romeo.sends(xml`<message to="${at('polly')}" type="chat"><body>!swallow 2</body></message>`)
    await waitUntil(async () => (await sum('lost_total')) >= 1, { deadlineMs: 90_000 })
    assert.ok((await sum('lost_total')) <= 2)
    // A worker's death may double what it handled in its last 50 ms: of one line a second, one.
    assert.ok((await sum('doubled_total')) <= 1)

    // Its account and what is under way are taken over: the line that nobody brings back is counted by the next frontend.
    await romeo.sends(xml`<message to="${at('polly')}" type="chat"><body>!swallow 1</body></message>`)
    const owned = await Promise.all(gateway.frontends.map(process => process.metric('spectrum_frontend_active')))
    const active = gateway.frontends[owned.indexOf(1)]
    assert.ok(active, 'no frontend is active')
    const said = await active.metric(metric('sent_total'))
    await waitUntil(async () => (await active.metric(metric('sent_total'))) > said, { deadlineMs: 30_000 })
    const others = gateway.frontends.filter(process => process !== active)
    const atOthers = await Promise.all(others.map(process => process.metric(metric('latency_seconds_count'))))
    await active.kill()
    const back = async () => {
      const counts = await Promise.all(
        gateway.frontends.map(each => each.metric(metric('latency_seconds_count')).catch(() => 0)),
      )
      return counts.reduce((total, count) => total + count, 0)
    }
    const start = atOthers.reduce((total, count) => total + count, 0)
    await waitUntil(async () => (await back()) >= start + 3, { deadlineMs: 60_000 })
    await waitUntil(async () => (await sum('lost_total')) >= 1, { deadlineMs: 90_000 })
    assert.ok((await sum('lost_total')) <= 2)
  },
)
