import assert from 'node:assert/strict'
import { type Person, scenario, waitUntil } from '@spectrum/stack'
import { heardOnIrc, numbered } from './lines.ts'
import { bareOf, resourceOf } from './muc.ts'

const people = 20
const each = 50

scenario(
  'twenty people in one room: nothing lost, nothing doubled, each in order',
  { timeoutMs: 180_000 },
  async scene => {
    const { irc, channel, at, person } = scene
    const square = channel('square')
    const room = at(square)
    await irc.join(square)
    const crowd: Person[] = await Promise.all(Array.from({ length: people }, (_, index) => person(`citizen${index}x`)))
    for (const citizen of crowd) await citizen.registers()
    await Promise.all(crowd.map(citizen => citizen.joins(room)))

    // Everybody talks at once, and so does IRC.
    const begun = performance.now()
    for (let index = 1; index <= each; index++) {
      for (const citizen of crowd) await citizen.says(room, `${citizen.nick}-${index}`)
      irc.say(square, `${irc.nick}-${index}`)
      // Let what was written leave: a client's socket is no queue for the whole test.
      await new Promise(resolve => setImmediate(resolve))
    }
    const speakers = [...crowd.map(({ nick }) => nick), irc.nick]
    const total = speakers.length * each
    const saidTo = ({ client }: Person) =>
      client.stanzas.filter(
        stanza =>
          stanza.attrs.type === 'groupchat' &&
          bareOf(stanza.attrs.from) === room &&
          stanza.getChild('body') !== undefined,
      )
    for (const citizen of crowd)
      await waitUntil(() => saidTo(citizen).length >= total, {
        deadlineMs: 90_000,
        everyMs: 100,
        describe: () => `${citizen.nick} heard ${saidTo(citizen).length} of ${total}`,
      })
    await waitUntil(() => crowd.every(({ nick }) => heardOnIrc(irc, `${nick}-`).length >= each), {
      deadlineMs: 90_000,
      everyMs: 100,
    })
    console.log(`${total * people} deliveries in ${Math.round(performance.now() - begun)} ms`)

    for (const citizen of crowd) {
      assert.equal(saidTo(citizen).length, total, citizen.nick)
      for (const nick of speakers) {
        const heard = saidTo(citizen)
          .filter(({ attrs }) => resourceOf(attrs.from) === nick)
          .map(stanza => stanza.getChildText('body'))
        assert.deepEqual(heard, numbered(nick, each), `${citizen.nick} of ${nick}`)
      }
      assert.deepEqual(heardOnIrc(irc, `${citizen.nick}-`), numbered(citizen.nick, each))
    }
  },
)
