import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { type Gateway, type IrcClient, scenario, waitUntil, type XmppClient } from '@spectrum/stack'
import { comingsAndGoings, whois } from './irc-questions.ts'
import { numbered } from './lines.ts'
import { bareOf, codesOf, messageOf, toldOf } from './muc.ts'
import { snapshotsAreStored } from './stored-snapshots.ts'

const cfg = '[settings]\nstay_connected = 1\n'

scenario(
  'stay_connected: the last client goes, 120 lines are said, and the next client has the last 100 with their time',
  { cfg, timeoutMs: 120_000 },
  async ({ romeo, irc, channel, at, gateway }) => {
    const balcony = channel('balcony')
    const room = at(balcony)
    await irc.join(balcony)
    await romeo.joins(room)
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
    const from = irc.lines.length
    const lines = numbered('line', 120)
    const dropped = await droppedBy(gateway)

    await romeo.client[Symbol.asyncDispose]()
    await isAway(irc, romeo.nick)
    const startedMs = Date.now()
    for (const line of lines) irc.say(balcony, line)
    irc.say(romeo.nick, 'where art thou?')
    await waitUntil(async () => (await droppedBy(gateway)) - dropped === 20, { deadlineMs: 30_000 })

    const again = await romeo.connect('again')
    // Said to the user alone: their own server has it.
    await again.receives(stanza => stanza.getChildText('body') === 'where art thou?', { deadlineMs: 30_000 })
    await romeo.logsIn(again)
    await romeo.joins(room, { client: again })
    assertEntrance(again, room, lines.slice(20), startedMs)
    irc.say(balcony, 'welcome')
    await again.receives(messageOf(`${room}/${irc.nick}`, { body: 'welcome' }))
    assert.deepEqual(comingsAndGoings(irc, romeo.nick, from), [])
  },
)

scenario(
  'stay_connected: the workers are killed while nobody is there: the user is back in the room, and what was kept is told',
  { cfg, isAlone: true, timeoutMs: 180_000 },
  async ({ romeo, irc, channel, at, gateway }) => {
    const balcony = channel('balcony')
    const room = at(balcony)
    await irc.join(balcony)
    await romeo.joins(room)
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
    const lines = numbered('line', 120)

    await romeo.client[Symbol.asyncDispose]()
    await isAway(irc, romeo.nick)
    const startedMs = Date.now()
    for (const line of lines) irc.say(balcony, line)
    await waitUntil(async () => (await droppedBy(gateway)) === 20, { deadlineMs: 30_000 })
    await snapshotsAreStored(gateway, 3_000)
    const from = irc.lines.length
    await Promise.all(gateway.workers.map(worker => worker.kill()))
    await waitUntil(() => comingsAndGoings(irc, romeo.nick, from).some(line => / JOIN /.test(line)), {
      deadlineMs: 90_000,
      describe: () => `${romeo.nick} is not back:\n${irc.lines.slice(from).join('\n')}`,
    })
    await isAway(irc, romeo.nick)

    const again = await romeo.connect('again')
    await romeo.logsIn(again)
    await romeo.joins(room, { client: again })
    assertEntrance(again, room, lines.slice(20), startedMs)
  },
)

scenario(
  'stay_connected: NATS loses all its data while nobody is there: the user is back in the room all the same',
  { cfg, isAlone: true, timeoutMs: 180_000 },
  async ({ romeo, irc, channel, at, gateway, stack }) => {
    const balcony = channel('balcony')
    const room = at(balcony)
    await irc.join(balcony)
    await romeo.joins(room)
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
    await romeo.client[Symbol.asyncDispose]()
    await isAway(irc, romeo.nick)
    irc.say(balcony, 'is anybody there?')
    await snapshotsAreStored(gateway, 3_000)
    await waitUntil(async () => (await sum(gateway, 'spectrum_worker_session_copies_waiting', {})) === 0, {
      deadlineMs: 30_000,
    })

    const from = irc.lines.length
    await Promise.all([stack.nats.kill(), ...gateway.workers.map(worker => worker.kill())])
    await rm(stack.nats.storeDir, { recursive: true })
    await stack.nats.start()
    await waitUntil(() => comingsAndGoings(irc, romeo.nick, from).some(line => / JOIN /.test(line)), {
      deadlineMs: 120_000,
      describe: () => `${romeo.nick} is not back:\n${irc.lines.slice(from).join('\n')}`,
    })
    await isAway(irc, romeo.nick)
    // One worker is enough for the user; the other may only be starting, and tells nothing yet.
    await gateway.ready()
    // Copies for the database are made without lines; that they are gone is counted.
    const lost = () => sum(gateway, 'spectrum_dropped_total', { reason: 'missed-lines-not-stored' })
    assert.equal(await lost(), 1)
    irc.say(balcony, 'who goes there?')

    const again = await romeo.connect('again')
    await romeo.logsIn(again)
    await romeo.joins(room, { client: again })
    await again.receives(messageOf(`${room}/${irc.nick}`, { body: 'who goes there?' }))
  },
)

/** Others, the user, the lines with the time at which they were said, the subject: XEP-0045 section 7.2. */
function assertEntrance(client: XmppClient, room: string, lines: readonly string[], sinceMs: number): void {
  const told = toldOf(client, room)
  const self = told.findIndex(stanza => codesOf(stanza).includes('110'))
  const subject = told.findIndex(stanza => stanza.getChild('subject') !== undefined)
  const between = told.slice(self + 1, subject)
  assert.deepEqual(
    between.map(stanza => stanza.getChildText('body')),
    lines,
  )
  for (const stanza of between) {
    const { stamp, from } = stanza.getChild('delay', 'urn:xmpp:delay')?.attrs ?? {}
    assert.ok(Date.parse(stamp) >= sinceMs - 1_000 && Date.parse(stamp) <= Date.now(), String(stanza))
    assert.ok(from === undefined || bareOf(room).endsWith(from) || from === room, String(stanza))
  }
}

/** The network shows that nobody is there. */
async function isAway(irc: IrcClient, nick: string): Promise<void> {
  await waitUntil(async () => (await whois(irc, nick)).some(line => / 301 /.test(line)), {
    deadlineMs: 30_000,
    everyMs: 200,
    describe: () => irc.lines.slice(-5).join('\n'),
  })
}

async function sum(gateway: Gateway, metric: string, labels: Record<string, string>): Promise<number> {
  const counts = await Promise.all(gateway.workers.map(worker => worker.metric(metric, labels)))
  return counts.reduce((total, each) => total + each, 0)
}

const droppedBy = (gateway: Gateway) => sum(gateway, 'spectrum_dropped_total', { reason: 'missed-lines-full' })
