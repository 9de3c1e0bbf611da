import assert from 'node:assert/strict'
import { type Gateway, type IrcClient, type ServiceProcess, scenario, waitUntil, xml } from '@spectrum/stack'
import { comingsAndGoings } from './irc-questions.ts'
import { heard, heardOnIrc, heardOnXmpp, numbered } from './lines.ts'
import { bareOf, errorOf, messageOf } from './muc.ts'

scenario('every router killed: whoever is online goes on talking', { timeoutMs: 120_000 }, async scene => {
  const { romeo, juliet, irc, gateway, channel, at, person } = scene
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  for (const each of [romeo, juliet]) await each.joins(room)

  await Promise.all(gateway.routers.map(router => router.hold()))
  try {
    for (const text of numbered('without', 20)) {
      await romeo.says(room, text)
      irc.say(balcony, `back-${text}`)
    }
    assert.deepEqual(await heard(() => heardOnIrc(irc, 'without-'), 'without-20'), numbered('without', 20))
    for (const each of [romeo, juliet]) {
      const texts = () => heardOnXmpp(each.client, room, 'back-without-')
      assert.deepEqual(await heard(texts, 'back-without-20'), numbered('back-without', 20))
    }
    await romeo.sends(xml`<message to="${at(irc.nick)}" type="chat"><body>in private</body></message>`)
    await irc.waitFor(/ PRIVMSG \S+ :in private$/)
  } finally {
    await Promise.all(gateway.routers.map(router => router.resume()))
  }
  const nurse = await person('nurse')
  await nurse.registers()
  await nurse.logsIn()
  await nurse.joins(room)
})

scenario(
  'every frontend killed: rooms stay joined, and what was said arrives afterwards',
  { timeoutMs: 120_000 },
  async scene => {
    const { romeo, irc, gateway, channel, at } = scene
    const balcony = channel('balcony')
    const room = at(balcony)
    await irc.join(balcony)
    await romeo.joins(room)
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
    const from = irc.lines.length

    await Promise.all(gateway.frontends.map(frontend => frontend.hold()))
    for (const text of numbered('meanwhile', 20)) irc.say(balcony, text)
    await Promise.all(gateway.frontends.map(frontend => frontend.resume()))
    await gateway.ready()

    const texts = () => heardOnXmpp(romeo.client, room, 'meanwhile-')
    assert.deepEqual(await heard(texts, 'meanwhile-20'), numbered('meanwhile', 20))
    await romeo.says(room, 'I heard you')
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${balcony} :I heard you$`), { deadlineMs: 30_000 })
    assert.deepEqual(comingsAndGoings(irc, romeo.nick, from), [])
  },
)

scenario('the active frontend killed: another, or its next life, takes over', { timeoutMs: 120_000 }, async scene => {
  const { romeo, irc, gateway, channel, at } = scene
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
  const from = irc.lines.length

  const active = await holderOf(gateway.frontends, 'spectrum_frontend_active')
  await active.kill()
  for (const text of numbered('takeover', 20)) irc.say(balcony, text)
  const texts = () => heardOnXmpp(romeo.client, room, 'takeover-')
  const heardTexts = await heard(texts, 'takeover-20', 60_000)
  // What was written and not yet confirmed may come twice, never out of order.
  assert.deepEqual([...new Set(heardTexts)], numbered('takeover', 20))
  await untilAnswered(romeo, room, irc, 'after')
  assert.deepEqual(comingsAndGoings(irc, romeo.nick, from), [])
})

scenario('a worker killed: its users are back within a minute, by themselves', { timeoutMs: 180_000 }, async scene => {
  const { romeo, juliet, irc, gateway, channel, at, topology } = scene
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  for (const person of [romeo, juliet]) {
    await person.joins(room)
    await irc.waitFor(new RegExp(`^:${person.nick}!\\S* JOIN`))
  }
  const from = irc.lines.length
  const owner = await holderOf(gateway.workers, 'spectrum_worker_sessions')
  const begun = performance.now()
  await owner.kill()
  const ids = new Map<string, string>()
  for (const text of numbered('meanwhile', 20)) ids.set(await romeo.says(room, text), text)

  for (const person of [romeo, juliet])
    await waitUntil(() => comingsAndGoings(irc, person.nick, from).some(line => / JOIN /.test(line)), {
      deadlineMs: 90_000,
      describe: () => `${person.nick} is not back:\n${irc.lines.slice(from).join('\n')}`,
    })
  const seconds = (performance.now() - begun) / 1000
  assert.ok(seconds < 60, `it took ${seconds} s`)
  // With two workers the other one has them now.
  if (topology === 'pair')
    assert.notEqual((await holderOf(gateway.workers, 'spectrum_worker_sessions')).name, owner.name)

  // Each message is heard, or its sender is told.
  const isSettled = ([id, text]: [string, string]) =>
    heardOnIrc(irc, 'meanwhile-').includes(text) ||
    romeo.client.stanzas.some(({ attrs }) => attrs.id === id && attrs.type === 'error')
  await waitUntil(() => [...ids].every(isSettled), {
    deadlineMs: 60_000,
    describe: () => `lost: ${[...ids].filter(each => !isSettled(each)).map(([, text]) => text)}`,
  })
  await untilAnswered(romeo, room, irc, 'after')
  irc.say(balcony, 'welcome')
  for (const person of [romeo, juliet])
    await person.receives(messageOf(`${room}/${irc.nick}`, { body: 'welcome' }), { deadlineMs: 30_000 })
  // Whoever stayed in XMPP is not told of a loss that is over.
  const rooms = romeo.client.stanzas.filter(
    ({ attrs }) =>
      bareOf(attrs.from) === room && attrs.type === 'unavailable' && attrs.from === `${room}/${romeo.nick}`,
  )
  assert.deepEqual(rooms.map(String), [])
})

for (const what of ['every process of the gateway', 'every process, and NATS'] as const)
  scenario(`${what} killed at once: users are back in their rooms`, { timeoutMs: 240_000 }, async scene => {
    const { romeo, juliet, irc, gateway, stack, channel, at } = scene
    const balcony = channel('balcony')
    const room = at(balcony)
    await irc.join(balcony)
    for (const person of [romeo, juliet]) {
      await person.joins(room)
      await irc.waitFor(new RegExp(`^:${person.nick}!\\S* JOIN`))
    }
    const from = irc.lines.length
    const all = gateway.processes.map(process => process.hold())
    if (what === 'every process, and NATS') all.push(stack.nats.kill())
    await Promise.all(all)
    if (what === 'every process, and NATS') await stack.nats.start()
    await Promise.all(gateway.processes.map(process => process.resume()))
    await gateway.ready({ deadlineMs: 90_000 })
    for (const person of [romeo, juliet])
      await waitUntil(() => comingsAndGoings(irc, person.nick, from).some(line => / JOIN /.test(line)), {
        deadlineMs: 90_000,
        describe: () => `${person.nick} is not back:\n${irc.lines.slice(from).join('\n')}`,
      })
    await untilAnswered(romeo, room, irc, 'reborn')
    irc.say(balcony, 'welcome')
    for (const person of [romeo, juliet])
      await person.receives(messageOf(`${room}/${irc.nick}`, { body: 'welcome' }), { deadlineMs: 30_000 })
  })

for (const service of ['frontend', 'router', 'worker'] as const)
  scenario(
    `told to stop, a ${service} drains within 20 s, and nothing is lost`,
    { timeoutMs: 180_000 },
    async scene => {
      const { romeo, irc, gateway, channel, at } = scene
      const balcony = channel('balcony')
      const room = at(balcony)
      await irc.join(balcony)
      await romeo.joins(room)
      for (const process of gateway.of(service)) {
        // One that was killed in an earlier scenario may still be starting.
        await waitUntil(async () => (await process.readiness()) === true, { deadlineMs: 60_000 })
        process.isSupervised = false
        const begun = performance.now()
        await process.kill('SIGTERM')
        const seconds = (performance.now() - begun) / 1000
        assert.ok(seconds < 20, `${process.name} took ${seconds} s`)
        assert.equal(process.child.exitCode, 0, `${process.name}: ${process.child.exit}`)
        await process.resume()
        await gateway.ready()
      }
      await untilAnswered(romeo, room, irc, `after-${service}`)
      irc.say(balcony, 'and back')
      await romeo.receives(messageOf(`${room}/${irc.nick}`, { body: 'and back' }), { deadlineMs: 30_000 })
    },
  )

/** The process that has most of something. */
async function holderOf(processes: Gateway['processes'], metric: string): Promise<ServiceProcess> {
  return waitUntil(async () => {
    const values = await Promise.all(
      processes.map(async process => ({ process, value: await process.metric(metric).catch(() => 0) })),
    )
    const most = values.sort((a, b) => b.value - a.value)[0]
    return most !== undefined && most.value > 0 && most.process
  })
}

/** Says something until IRC hears it: each try is heard, or answered by an error. */
async function untilAnswered(
  person: {
    client: { stanzas: readonly { attrs: Record<string, string> }[] }
    says: (room: string, text: string) => Promise<string>
  },
  room: string,
  irc: IrcClient,
  prefix: string,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const text = `${prefix}-${attempt}`
    const id = await person.says(room, text)
    const isRefused = () => person.client.stanzas.some(({ attrs }) => attrs.id === id && attrs.type === 'error')
    await waitUntil(() => heardOnIrc(irc, text).includes(text) || isRefused(), {
      deadlineMs: 60_000,
      describe: () => `${text} was neither heard nor refused`,
    })
    if (!isRefused()) return
    if (attempt === 100) throw new Error(`${text} is refused still: ${errorsOf(person)}`)
  }
}

function errorsOf({ client }: { client: { stanzas: readonly { attrs: Record<string, string> }[] } }): string {
  return client.stanzas
    .filter(({ attrs }) => attrs.type === 'error')
    .slice(-3)
    .map(stanza => errorOf(stanza as Parameters<typeof errorOf>[0]))
    .join()
}
