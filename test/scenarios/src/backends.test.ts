import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Person, scenario, waitUntil } from '@spectrum/stack'
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
