import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Person, scenario, waitUntil, type XmppClient } from '@spectrum/stack'
import { comingsAndGoings } from './irc-questions.ts'
import { heardOnXmpp, numbered } from './lines.ts'
import { bareOf } from './muc.ts'

const returnSeconds = 25

scenario(
  'Prosody is stopped and comes back while people talk on IRC: who returns has missed nothing, who does not has left',
  { isAlone: true, timeoutMs: 240_000, cfg: `[frontend]\nreturn_seconds = ${returnSeconds}\n` },
  async scene => {
    const { romeo, juliet, irc, stack, gateway, channel, at, person, jid } = scene
    const balcony = channel('balcony')
    const room = at(balcony)
    await irc.join(balcony)
    const nurse = await person('nurse')
    await nurse.registers()
    await nurse.logsIn()
    const before = await Promise.all(
      [romeo, juliet, nurse].map(async user => {
        const client = await user.connect('phone')
        await user.logsIn(client)
        await user.joins(room, { client })
        // The first resource was online as well; it is not in the room, and shall not be asked for.
        user.client.sends(`<presence type="unavailable" to="${jid}"/>`)
        return client
      }),
    )
    const from = irc.lines.length

    let said = 0
    using stop = ending()
    const flow = (async () => {
      while (!stop.isOver) {
        irc.say(balcony, `line-${++said}`)
        await delay(20)
      }
    })()
    await waitUntil(() => before.every(client => heardOnXmpp(client, room, 'line-').length > 50), {
      deadlineMs: 30_000,
    })
    await stack.prosody.kill('SIGTERM')
    // Somebody who is still connected to nothing misses what is said meanwhile, unless it is kept.
    const downAt = said
    await waitUntil(() => said > downAt + 50, { deadlineMs: 30_000 })
    await stack.prosody.start()
    await gateway.ready({ deadlineMs: 90_000 })
    const upAt = performance.now()

    const comeBack = async (user: Person, resource: string): Promise<XmppClient> => {
      const client = await user.connect(resource)
      client.sends(`<presence to="${jid}"/>`)
      await user.joins(room, { client })
      return client
    }
    // One under the name that its client had, one under another.
    const after = await Promise.all([comeBack(romeo, 'phone'), comeBack(juliet, 'tablet')])
    const backAt = said
    await waitUntil(() => said > backAt + 50, { deadlineMs: 30_000 })
    stop.isOver = true
    await flow
    const wanted = numbered('line', said)
    const heardBy = (index: 0 | 1) => {
      const old = before[index] as XmppClient
      return [...heardOnXmpp(old, room, 'line-'), ...heardOnXmpp(after[index], room, 'line-')]
    }
    for (const index of [0, 1] as const) {
      const missing = () => {
        const all = new Set(heardBy(index))
        return wanted.filter(line => !all.has(line))
      }
      await waitUntil(() => missing().length === 0, {
        deadlineMs: 60_000,
        describe: () =>
          `client ${index} misses ${missing().length} of ${said} lines: ${missing().slice(0, 10)}; down from ${downAt}, back at ${backAt}`,
      })
    }
    // What was told again says when it was said.
    for (const client of after) {
      const late = client.stanzas.filter(stanza => {
        const [, number] = /^line-(\d+)$/.exec(stanza.getChildText('body') ?? '') ?? []
        return bareOf(stanza.attrs.from) === room && number !== undefined && Number(number) <= downAt + 50
      })
      const unstamped = late.filter(stanza => stanza.getChild('delay', 'urn:xmpp:delay') === undefined)
      assert.deepEqual(
        unstamped.map(stanza => stanza.getChildText('body')),
        [],
      )
    }
    for (const user of [romeo, juliet]) assert.deepEqual(comingsAndGoings(irc, user.nick, from), [])

    await waitUntil(() => comingsAndGoings(irc, nurse.nick, from).some(line => / (QUIT|PART) /.test(line)), {
      deadlineMs: returnSeconds * 5_000,
      describe: () => `${nurse.nick} is still there:\n${stack.log.slice(-2_000)}`,
    })
    const goneAfter = performance.now() - upAt
    assert.ok(goneAfter > (returnSeconds - 10) * 1_000, `${nurse.nick} left after ${Math.round(goneAfter)} ms already`)
    for (const user of [romeo, juliet]) assert.deepEqual(comingsAndGoings(irc, user.nick, from), [])
  },
)

/** Over at the latest with the scope, also when the scenario fails. */
function ending(): Disposable & { isOver: boolean } {
  return {
    isOver: false,
    [Symbol.dispose]() {
      this.isOver = true
    },
  }
}
