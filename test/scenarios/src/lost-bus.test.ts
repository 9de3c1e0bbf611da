import assert from 'node:assert/strict'
import { rm } from 'node:fs/promises'
import { scenario, waitUntil, xml } from '@spectrum/stack'
import { heard, heardOnXmpp } from './lines.ts'

scenario(
  'NATS has lost everything and all was restarted: who was online is back, in the same rooms, without doing anything',
  { isAlone: true, timeoutMs: 180_000 },
  async scene => {
    const { romeo, juliet, irc, gateway, stack, channel, at, person } = scene
    const balcony = channel('balcony')
    const orchard = channel('orchard')
    const crypt = channel('crypt')
    for (const name of [balcony, orchard, crypt]) await irc.join(name)
    for (const each of [romeo, juliet]) await each.joins(at(balcony))
    await romeo.joins(at(orchard))
    // Who has left before is not brought back.
    const tybalt = await person('tybalt')
    await tybalt.registers()
    await tybalt.logsIn()
    await tybalt.joins(at(crypt))
    await tybalt.sends(xml`<presence type="unavailable"/>`)
    await irc.waitFor(new RegExp(`^:${tybalt.nick}!\\S* (QUIT|PART)`))

    const total = async (name: string, labels = {}) => {
      const values = await Promise.all(gateway.workers.map(worker => worker.metric(name, labels)))
      return values.reduce((sum, value) => sum + value, 0)
    }
    const copies = () => total('spectrum_worker_session_copies_total', { result: 'saved' })
    const isCopied = async () => (await total('spectrum_worker_session_copies_waiting')) === 0 && (await copies()) >= 3
    await waitUntil(isCopied, { deadlineMs: 30_000 })

    const from = irc.lines.length
    const toldFrom = [romeo, juliet].map(({ client }) => client.stanzas.length)
    await Promise.all(gateway.processes.map(process => process.hold()))
    await stack.nats.stop()
    await rm(stack.nats.storeDir, { recursive: true })
    const came = (nick: string, what: string) =>
      waitUntil(() => irc.lines.slice(from).some(line => new RegExp(`^:${nick}!\\S* ${what}`).test(line)), {
        deadlineMs: 60_000,
        describe: () => `no ${what} of ${nick}:\n${irc.lines.slice(from).join('\n')}`,
      })
    for (const each of [romeo, juliet]) await came(each.nick, 'QUIT')
    await stack.nats.start()
    await Promise.all(gateway.processes.map(process => process.resume()))
    await gateway.ready()

    await came(romeo.nick, `JOIN :?${balcony}$`)
    await came(romeo.nick, `JOIN :?${orchard}$`)
    await came(juliet.nick, `JOIN :?${balcony}$`)
    irc.say(balcony, 'welcome-back')
    for (const each of [romeo, juliet])
      await heard(() => heardOnXmpp(each.client, at(balcony), 'welcome-'), 'welcome-back')
    await romeo.says(at(orchard), 'it is I')
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${orchard} :it is I$`), { deadlineMs: 30_000 })
    for (const [index, { client }] of [romeo, juliet].entries()) {
      const presences = client.stanzas.slice(toldFrom[index]).filter(stanza => stanza.getName() === 'presence')
      assert.deepEqual(presences.map(String), [], 'nobody has come or left')
    }
    assert.ok(!irc.lines.slice(from).some(line => line.startsWith(`:${tybalt.nick}!`)), 'tybalt was revived')
  },
)
