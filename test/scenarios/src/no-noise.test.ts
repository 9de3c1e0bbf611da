import assert from 'node:assert/strict'
import { type Scene, scenario, waitUntil, type XmppClient } from '@spectrum/stack'
import { comingsAndGoings } from './irc-questions.ts'
import { bareOf, codesOf, messageOf, resourceOf, type Stanza } from './muc.ts'
import { snapshotsAreStored } from './stored-snapshots.ts'

for (const signal of ['SIGKILL', 'SIGTERM'] as const)
  scenario(
    `workers end by ${signal} and come back: of each room the difference is told once, and nothing else`,
    { isAlone: true, isRegistered: false, timeoutMs: 180_000 },
    async scene => {
      const { romeo, juliet, irc, gateway, channel, at, connectIrc } = scene
      for (const person of [romeo, juliet]) {
        // The server has no nick service for it, and says so each time.
        await person.registers({ password: 'open-sesame' })
        await person.logsIn()
      }
      const [balcony, orchard] = [channel('balcony'), channel('orchard')]
      const [benvolio, tybalt] = [await connectIrc('benvolio'), await connectIrc('tybalt')]
      for (const room of [balcony, orchard]) {
        await irc.join(room)
        await benvolio.join(room)
      }
      irc.send(`TOPIC ${balcony} :The balcony`)
      irc.send(`MODE ${orchard} +m`)
      await benvolio.waitFor(/ MODE \S+ \+m/)
      const phone = await romeo.connect('phone')
      await romeo.logsIn(phone)
      await romeo.joins(at(balcony))
      await romeo.joins(at(balcony), { client: phone })
      await romeo.joins(at(orchard))
      await snapshotsAreStored(gateway, 1_000)
      const clients = [romeo.client, phone, juliet.client]
      const from = clients.map(({ stanzas }) => stanzas.length)
      const fromIrc = irc.lines.length

      const begun = performance.now()
      await Promise.all(gateway.workers.map(worker => worker.hold(signal)))
      await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* QUIT`))
      await tybalt.join(balcony)
      benvolio.send(`PART ${balcony}`)
      await tybalt.waitFor(new RegExp(`^:${benvolio.nick}!\\S* PART`))
      await Promise.all(gateway.workers.map(worker => worker.resume()))
      const returns = () => comingsAndGoings(irc, romeo.nick, fromIrc).filter(line => / JOIN /.test(line))
      await waitUntil(() => returns().length === 2, {
        deadlineMs: 90_000,
        describe: () => `${romeo.nick} is not back:\n${irc.lines.slice(fromIrc).join('\n')}`,
      })
      assert.ok(performance.now() - begun < 60_000)

      // What is said now comes behind everything that the return caused at once; who is missing may be on the way.
      await linesArrive(scene, [balcony, orchard], phone)
      const hasGone = (stanza: Stanza) => brief(stanza) === `presence ${at(balcony)}/${benvolio.nick} unavailable`
      for (const client of [romeo.client, phone]) await client.receives(hasGone, { deadlineMs: 60_000 })
      const told = clients.map(({ stanzas }, index) => stanzas.slice(from[index]).map(brief))
      const news = [
        `presence ${at(balcony)}/${tybalt.nick}`,
        `presence ${at(balcony)}/${benvolio.nick} unavailable`,
        `message ${at(balcony)}/${irc.nick} good morrow`,
      ]
      assert.deepEqual(told[0]?.sort(), [...news, `message ${at(orchard)}/${irc.nick} good morrow`].sort())
      assert.deepEqual(told[1]?.sort(), [...news].sort())
      assert.deepEqual(told[2], [])
    },
  )

for (const signal of ['SIGKILL', 'SIGTERM'] as const)
  scenario(
    `workers end by ${signal}: of users who share a room nobody sees another leave or come`,
    { isAlone: true, timeoutMs: 180_000 },
    async scene => {
      const { romeo, juliet, irc, gateway, channel, at, person } = scene
      const balcony = channel('balcony')
      await irc.join(balcony)
      const others = await Promise.all(['paris', 'tybalt', 'nurse', 'peter'].map(name => person(name)))
      for (const other of others) {
        await other.registers()
        await other.logsIn()
      }
      const all = [romeo, juliet, ...others]
      for (const each of all) await each.joins(at(balcony))
      await snapshotsAreStored(gateway, 1_000)
      const from = all.map(({ client }) => client.stanzas.length)
      const fromIrc = irc.lines.length
      await Promise.all(gateway.workers.map(worker => worker.hold(signal)))
      await Promise.all(gateway.workers.map(worker => worker.resume()))
      const isBack = ({ nick }: (typeof all)[number]) =>
        comingsAndGoings(irc, nick, fromIrc).some(line => / JOIN /.test(line))
      await waitUntil(() => all.every(isBack), {
        deadlineMs: 90_000,
        describe: () => irc.lines.slice(fromIrc).join('\n'),
      })
      irc.say(balcony, 'good morrow')
      const heard = messageOf(`${at(balcony)}/${irc.nick}`, { body: 'good morrow' })
      for (const each of all) await each.receives(heard, { deadlineMs: 30_000 })
      for (const [index, { client }] of all.entries()) {
        const told = client.stanzas.slice(from[index]).map(brief)
        assert.deepEqual(told, [`message ${at(balcony)}/${irc.nick} good morrow`])
      }
    },
  )

scenario(
  'workers are killed, and the network holds the nick: clients go on under their own, and nothing is told',
  { isAlone: true, timeoutMs: 180_000 },
  async ({ romeo, irc, gateway, channel, at, connectIrc }) => {
    const balcony = channel('balcony')
    const room = at(balcony)
    await irc.join(balcony)
    const phone = await romeo.connect('phone')
    await romeo.logsIn(phone)
    for (const client of [romeo.client, phone]) await romeo.joins(room, { client })
    await snapshotsAreStored(gateway, 1_000)
    const clients = [romeo.client, phone]
    const from = clients.map(({ stanzas }) => stanzas.length)

    await Promise.all(gateway.workers.map(worker => worker.hold()))
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* QUIT`))
    // What is left of a connection whose end the server has not noticed.
    const ghost = await connectIrc('romeo')
    await ghost.join(balcony)
    await Promise.all(gateway.workers.map(worker => worker.resume()))
    await irc.waitFor(new RegExp(`^:${romeo.nick}_!\\S* JOIN`), { deadlineMs: 90_000 })
    await romeo.says(room, 'here again')
    await irc.waitFor(new RegExp(`^:${romeo.nick}_!\\S* PRIVMSG ${balcony} :here again`), { deadlineMs: 30_000 })
    await ghost[Symbol.asyncDispose]()
    await irc.waitFor(new RegExp(`^:${romeo.nick}_!\\S* NICK :?${romeo.nick}`), { deadlineMs: 90_000 })
    await romeo.says(room, 'as ever')
    for (const client of clients)
      await client.receives(messageOf(`${room}/${romeo.nick}`, { body: 'as ever' }), { deadlineMs: 30_000 })
    for (const [index, { stanzas }] of clients.entries())
      assert.deepEqual(stanzas.slice(from[index]).map(brief), [
        `message ${room}/${romeo.nick} here again`,
        `message ${room}/${romeo.nick} as ever`,
      ])
  },
)

/** Mercutio says something, and it is heard in each of the rooms. */
async function linesArrive(
  { romeo, irc, at }: Scene,
  [shared = '', own = '']: readonly string[],
  phone: XmppClient,
): Promise<void> {
  for (const room of [shared, own]) irc.say(room, 'good morrow')
  const heard = (room: string) => messageOf(`${at(room)}/${irc.nick}`, { body: 'good morrow' })
  await romeo.receives(heard(shared), { deadlineMs: 30_000 })
  await romeo.receives(heard(own), { deadlineMs: 30_000 })
  await phone.receives(heard(shared), { deadlineMs: 30_000 })
}

/** Presence and messages with what a person would see of them; anything else whole. */
function brief(stanza: Stanza): string {
  const { from, type } = stanza.attrs
  const place = `${bareOf(from)}/${resourceOf(from)}`
  const codes = codesOf(stanza)
  if (stanza.getName() === 'presence') return ['presence', place, ...(type ? [type] : []), ...codes].join(' ')
  const body = stanza.getChildText('body')
  if (stanza.getName() === 'message' && body) return `message ${place} ${body}`
  return stanza.toString()
}
