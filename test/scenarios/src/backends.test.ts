import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Person, scenario, waitUntil, xml } from '@spectrum/stack'
import { comingsAndGoings } from './irc-questions.ts'
import { heard, heardOnXmpp, numbered } from './lines.ts'
import { messageOf } from './muc.ts'

const small = { cfg: '[service]\nusers_per_backend = 2' }

scenario('more users than one backend holds: all of them talk', { ...small, timeoutMs: 120_000 }, async scene => {
  const { romeo, juliet, irc, gateway, channel, at, person } = scene
  const square = channel('square')
  const room = at(square)
  await irc.join(square)
  const others = await Promise.all(['paris', 'tybalt', 'nurse', 'peter', 'rosaline'].map(name => person(name)))
  for (const other of others) await other.registers()
  await Promise.all(others.map(other => other.logsIn()))
  const all: Person[] = [romeo, juliet, ...others]
  await Promise.all(all.map(each => each.joins(room)))
  for (const each of all) await each.says(room, `I am ${each.nick}`)
  for (const each of all)
    for (const speaker of all)
      await each.receives(messageOf(`${room}/${speaker.nick}`, { body: `I am ${speaker.nick}` }))
  const backends = await Promise.all(gateway.workers.map(worker => worker.metric('spectrum_worker_backends')))
  assert.ok(backends.reduce((sum, value) => sum + value, 0) >= 4, `${backends} backends`)
})

scenario('logins while every router is killed wait for the next one', { timeoutMs: 120_000 }, async scene => {
  const { gateway, person, channel, at } = scene
  const crowd = await Promise.all(Array.from({ length: 8 }, (_, index) => person(`late${index}x`)))
  for (const each of crowd) await each.registers()
  const logins = crowd.map(each => each.joins(at(channel('square'))))
  await Promise.all(gateway.routers.map(router => router.kill()))
  await Promise.all(logins)
})

scenario(
  'while every router is away who is online goes on, however much others say who wait for their login',
  { isAlone: true, timeoutMs: 120_000 },
  async scene => {
    const { romeo, irc, gateway, person, channel, at, stack } = scene
    const balcony = channel('balcony')
    await irc.join(balcony)
    await romeo.joins(at(balcony))
    const crowd = await Promise.all(['paris', 'tybalt', 'nurse'].map(name => person(name)))
    for (const each of crowd) await each.registers()
    for (const each of crowd) await each.sends(xml`<presence type="unavailable"/>`)
    const sessions = async () => {
      const each = await Promise.all(gateway.workers.map(worker => worker.metric('spectrum_worker_sessions')))
      return each.reduce((sum, count) => sum + count, 0)
    }
    // Romeo and Juliet.
    await waitUntil(async () => (await sessions()) === 2)
    await Promise.all(gateway.routers.map(router => router.hold()))
    for (const each of crowd) await each.sends(xml`<presence to="${stack.jid}"/>`)
    // Together far more than a frontend keeps unpublished before it stops reading.
    const long = 'x'.repeat(6_000)
    for (let line = 0; line < 40; line++) for (const each of crowd) await each.says(at(balcony), `${line} ${long}`)
    // The server passes on so much in a second.
    const waiting = async () => {
      const each = await Promise.all(gateway.frontends.map(it => it.metric('spectrum_frontend_pending_commands')))
      return each.reduce((sum, count) => sum + count, 0)
    }
    await waitUntil(async () => (await waiting()) >= 40, { deadlineMs: 19_000 })
    const said = numbered('meanwhile', 20)
    for (const text of said) await romeo.says(at(balcony), text)
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${balcony} :${said.at(-1)}$`), { deadlineMs: 15_000 })
    await Promise.all(gateway.routers.map(router => router.resume()))
    const late = await person('rosaline')
    await late.registers()
    await late.joins(at(balcony))
  },
)

scenario(
  'who was moved for idleness and talks again reaches the new backend directly, in order',
  {
    cfg: '[service]\nusers_per_backend = 2\nidle_reconnect_time = 3\nreuse_old_backends = 0',
    isAlone: true,
    timeoutMs: 180_000,
  },
  async scene => {
    const { romeo, juliet, irc, gateway, channel, at } = scene
    const balcony = channel('balcony')
    const room = at(balcony)
    await irc.join(balcony)
    await Promise.all([romeo, juliet].map(each => each.joins(room)))
    const sum = async (metric: string): Promise<number> => {
      const each = await Promise.all(gateway.workers.map(worker => worker.metric(metric)))
      return each.reduce((all, value) => all + value, 0)
    }
    const backends = await sum('spectrum_worker_backends')
    await waitUntil(async () => (await sum('spectrum_worker_backends')) > backends, { deadlineMs: 60_000 })
    await delay(2_000)
    const before = await sum('spectrum_worker_commands_forwarded_total')
    const people: Person[] = [romeo, juliet]
    const said = numbered('again', 40)
    for (const text of said) {
      for (const each of people) await each.says(room, `${each.nick} ${text}`)
      await delay(50)
    }
    for (const { nick } of people) {
      const heardOf = (): string[] =>
        irc.lines.flatMap(
          line => new RegExp(`^:${nick}!\\S* PRIVMSG ${balcony} :${nick} (again.*)$`).exec(line)?.[1] ?? [],
        )
      await waitUntil(() => heardOf().includes(said.at(-1) ?? ''), { deadlineMs: 40_000 })
      assert.deepEqual(heardOf(), said)
    }
    const forwarded = (await sum('spectrum_worker_commands_forwarded_total')) - before
    assert.ok(
      forwarded >= 1 && forwarded <= 20,
      `${forwarded} of ${2 * said.length} commands took the way by the old backend`,
    )
  },
)

scenario('a frontend killed under load loses nothing of what IRC says', { timeoutMs: 120_000 }, async scene => {
  const { romeo, irc, gateway, channel, at } = scene
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
  const came = irc.lines.length
  const count = 1000
  const texts = numbered('load', count)
  const here = () => heardOnXmpp(romeo.client, room, 'load-')

  let said = 0
  const flow = (async () => {
    for (; said < count; said++) {
      irc.say(balcony, texts[said] ?? '')
      if (said % 5 === 0) await delay(5)
    }
  })()
  for (let kills = 0; kills < 2; kills++) {
    const before = here().length
    await waitUntil(() => here().length > before + 50, { deadlineMs: 60_000 })
    const active = await waitUntil(async () => {
      for (const frontend of gateway.frontends)
        if ((await frontend.metric('spectrum_frontend_active').catch(() => 0)) > 0) return frontend
      return undefined
    })
    await active.kill()
  }
  await flow
  const all = await heard(here, texts[count - 1] ?? '', 90_000)
  // Doubled at most is what was written and not yet confirmed; nothing is missing, and first comings are in order.
  assert.deepEqual([...new Set(all)], texts)
  assert.deepEqual(comingsAndGoings(irc, romeo.nick, came), [])
})
