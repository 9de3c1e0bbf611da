import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { scenario, waitUntil } from '@spectrum/stack'
import { comingsAndGoings } from './irc-questions.ts'
import { heard, heardOnIrc, heardOnXmpp, numbered } from './lines.ts'
import { messageOf } from './muc.ts'

scenario(
  'a wrong component secret: one clear line, not ready, and no hurry',
  { prosodySecret: 'another', isImpatient: true, isRegistered: false, isAlone: true },
  async ({ gateway, stack }) => {
    const refusals = () =>
      gateway.frontends.flatMap(({ log }) => log).filter(({ msg }) => /refuses the component secret/.test(String(msg)))
    await waitUntil(() => refusals().length > 0, { deadlineMs: 30_000, describe: () => stack.log })
    assert.equal(refusals()[0]?.level, 'warn')
    for (const process of [...gateway.routers, ...gateway.workers])
      await waitUntil(async () => (await process.readiness()) === true, { deadlineMs: 30_000 })
    const states = await Promise.all(gateway.frontends.map(process => process.readiness()))
    assert.ok(states.includes('the component is not connected'), states.join())
    // By the time that Prosody has answered twice more a busy loop would have asked a hundred times.
    assert.equal(refusals().length, 1)
    const attempts = stack.prosody.log.split('\n').filter(line => /component.*(rejected|disconnected)/i.test(line))
    assert.ok(attempts.length <= 2, attempts.join('\n'))
    for (const process of gateway.frontends) assert.ok(process.child.isRunning)
  },
)

const ends = { killed: 'SIGKILL', 'told to stop': 'SIGTERM' } as const
for (const [how, signal] of Object.entries(ends))
  scenario(
    `Prosody ${how} and started: everybody is still in their rooms on IRC`,
    { timeoutMs: 120_000 },
    async scene => {
      const { romeo, irc, stack, gateway, channel, at } = scene
      const balcony = channel('balcony')
      const room = at(balcony)
      await irc.join(balcony)
      await romeo.joins(room)
      await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
      const from = irc.lines.length

      await stack.prosody.kill(signal)
      irc.say(balcony, 'is anybody there?')
      await stack.prosody.start()
      await gateway.ready({ deadlineMs: 90_000 })

      // The client comes back as a new resource, and finds its room without IRC noticing.
      const again = await romeo.connect('again')
      await romeo.logsIn(again)
      await romeo.joins(room, { client: again })
      again.sends(`<message to="${room}" type="groupchat" id="m1"><body>here again</body></message>`)
      await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${balcony} :here again$`))
      await again.receives(messageOf(`${room}/${romeo.nick}`, { id: 'm1' }))
      irc.say(balcony, 'welcome')
      await again.receives(messageOf(`${room}/${irc.nick}`, { body: 'welcome' }))
      assert.deepEqual(comingsAndGoings(irc, romeo.nick, from), [])
    },
  )

scenario('the IRC server killed and started: everybody is back in their rooms', { timeoutMs: 180_000 }, async scene => {
  const { romeo, juliet, irc, stack, connectIrc, channel, at } = scene
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  for (const person of [romeo, juliet]) await person.joins(room)

  await stack.ircServer.kill()
  await stack.ircServer.start()
  const nurse = await connectIrc('nurse')
  await nurse.join(balcony)
  for (const person of [romeo, juliet])
    await waitUntil(
      async () => {
        const from = nurse.lines.length
        nurse.send(`NAMES ${balcony}`)
        await waitUntil(() => nurse.lines.slice(from).some(line => / 366 /.test(line)))
        return nurse.lines.slice(from).some(line => / 353 /.test(line) && line.includes(person.nick))
      },
      { deadlineMs: 90_000, describe: () => `${person.nick} is not back:\n${nurse.lines.join('\n')}` },
    )
  await romeo.says(room, 'I am here')
  await nurse.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${balcony} :I am here$`), { deadlineMs: 30_000 })
  nurse.say(balcony, 'so am I')
  for (const person of [romeo, juliet])
    await person.receives(messageOf(`${room}/${nurse.nick}`, { body: 'so am I' }), { deadlineMs: 30_000 })
})

const natsEnds = { killed: 'SIGKILL', 'told to stop': 'SIGINT' } as const
for (const [how, signal] of Object.entries(natsEnds))
  scenario(
    `NATS ${how} and started while people talk: nothing lost, order kept`,
    { timeoutMs: 180_000 },
    async scene => {
      const { romeo, irc, stack, channel, at } = scene
      const balcony = channel('balcony')
      const room = at(balcony)
      await irc.join(balcony)
      await romeo.joins(room)
      await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
      const came = irc.lines.length
      const count = 600
      const [out, back] = [numbered('out', count), numbered('back', count)]
      const [onIrc, onXmpp] = [() => heardOnIrc(irc, 'out-'), () => heardOnXmpp(romeo.client, room, 'back-')]

      // A steady flow, so that there is something under way at every moment of the restart.
      let said = 0
      const flow = (async () => {
        for (; said < count; said++) {
          await romeo.says(room, out[said] ?? '')
          irc.say(balcony, back[said] ?? '')
          await delay(5)
        }
      })()
      await waitUntil(() => onIrc().length > 50 && onXmpp().length > 50, { deadlineMs: 30_000 })
      await stack.nats.kill(signal)
      const before = said
      await waitUntil(() => said > before + 20, { deadlineMs: 30_000 })
      await stack.nats.start()
      await flow

      assert.deepEqual(await heard(onIrc, out[count - 1] ?? ''), out)
      assert.deepEqual(await heard(onXmpp, back[count - 1] ?? ''), back)
      const reflected = await heard(() => heardOnXmpp(romeo.client, room, 'out-'), out[count - 1] ?? '')
      assert.deepEqual(reflected, out)
      assert.deepEqual(comingsAndGoings(irc, romeo.nick, came), [])
    },
  )

scenario(
  'NATS comes back with an empty store: who is online on any backend goes on, once each, and somebody new can register',
  { isAlone: true, cfg: '[service]\nusers_per_backend = 2', timeoutMs: 180_000 },
  async scene => {
    const { romeo, juliet, irc, channel, at, stack, person, gateway } = scene
    const balcony = channel('balcony')
    await irc.join(balcony)
    const others = await Promise.all(['paris', 'tybalt', 'nurse'].map(name => person(name)))
    for (const other of others) await other.registers()
    await Promise.all(others.map(other => other.logsIn()))
    const all = [romeo, juliet, ...others]
    for (const each of all) await each.joins(at(balcony))
    const total = async (name: string, labels = {}) => {
      const values = await Promise.all(gateway.workers.map(worker => worker.metric(name, labels)))
      return values.reduce((sum, value) => sum + value, 0)
    }
    const copies = () => total('spectrum_worker_session_copies_total', { result: 'saved' })
    const areCopied = async () =>
      (await total('spectrum_worker_session_copies_waiting')) === 0 && (await copies()) >= all.length
    await waitUntil(areCopied, { deadlineMs: 30_000 })
    const came = irc.lines.length
    await stack.nats.kill()
    await rm(stack.nats.storeDir, { recursive: true })
    await stack.nats.start()
    for (const each of all) {
      await each.says(at(balcony), `still here: ${each.nick}`)
      const line = new RegExp(`^:${each.nick}!\\S* PRIVMSG ${balcony} :still here: ${each.nick}$`)
      await irc.waitFor(line, { deadlineMs: 60_000 })
    }
    irc.say(balcony, 'so I hear')
    for (const each of all)
      await each.receives(messageOf(`${at(balcony)}/${irc.nick}`, { body: 'so I hear' }), { deadlineMs: 60_000 })

    const rosaline = await person('rosaline')
    await waitUntil(
      () =>
        rosaline.registers().then(
          () => true,
          () => false,
        ),
      { deadlineMs: 60_000, describe: () => 'rosaline could not register' },
    )
    await rosaline.logsIn()
    await rosaline.joins(at(balcony))
    await rosaline.says(at(balcony), 'and I')
    await irc.waitFor(new RegExp(`^:${rosaline.nick}!\\S* PRIVMSG ${balcony} :and I$`))
    // Brought back elsewhere too, somebody would join under another nick, or say and hear everything twice.
    const joins = irc.lines.slice(came).filter(line => / JOIN /.test(line))
    assert.deepEqual(
      joins.map(line => line.slice(1, line.indexOf('!'))),
      [rosaline.nick],
    )
    for (const each of all) {
      assert.deepEqual(comingsAndGoings(irc, each.nick, came), [])
      const said = irc.lines.slice(came).filter(line => line.endsWith(` :still here: ${each.nick}`))
      assert.equal(said.length, 1)
    }
  },
)
