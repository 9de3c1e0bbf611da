import assert from 'node:assert/strict'
import { scenario, waitUntil, xml } from '@spectrum/stack'
import { comingsAndGoings } from './irc-questions.ts'
import { codesOf, messageOf, presenceOf, toldOf } from './muc.ts'
import { snapshotsAreStored } from './stored-snapshots.ts'

scenario(
  'a worker killed: whoever had changed their nick comes back under the changed one',
  { isAlone: true, timeoutMs: 180_000 },
  async ({ romeo, irc, gateway, channel, at }) => {
    const balcony = channel('balcony')
    const room = at(balcony)
    const nick = `${romeo.nick}away`
    await irc.join(balcony)
    await romeo.joins(room)
    await romeo.sends(xml`<presence to="${`${room}/${nick}`}"/>`)
    await romeo.receives(presenceOf(`${room}/${nick}`, { codes: ['110'] }))
    await snapshotsAreStored(gateway, 500)
    const from = irc.lines.length
    const told = toldOf(romeo.client, room).length

    await Promise.all(gateway.workers.map(worker => worker.kill()))
    await waitUntil(() => comingsAndGoings(irc, nick, from).some(line => / JOIN /.test(line)), {
      deadlineMs: 90_000,
      describe: () => `${nick} is not back:\n${irc.lines.slice(from).join('\n')}`,
    })
    await romeo.says(room, 'here again')
    await romeo.receives(messageOf(`${room}/${nick}`, { body: 'here again' }), { deadlineMs: 30_000 })
    await irc.waitFor(new RegExp(`^:${nick}!\\S* PRIVMSG ${balcony} :here again$`))
    // Nothing changed, so nothing is told.
    const changes = toldOf(romeo.client, room)
      .slice(told)
      .filter(stanza => codesOf(stanza).some(code => code === '303' || code === '210'))
    assert.deepEqual(changes.map(String), [])
  },
)
