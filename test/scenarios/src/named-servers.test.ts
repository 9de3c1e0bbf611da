import assert from 'node:assert/strict'
import { scenario, xml } from '@spectrum/stack'
import { bareOf, errorOf, messageOf, presenceOf } from './muc.ts'

// Without service.irc_server: users name the server and, after a comma, its port.

scenario(
  'a room on a port of a server that the user names: all that it tells comes from the JID that was joined',
  { isOpen: true },
  async ({ romeo, juliet, irc, stack, jid, channel, at }) => {
    const balcony = channel('balcony')
    const { port } = stack.ircServer
    const room = at(`${balcony}%127.0.0.1,${port}`)
    await irc.join(balcony)
    await romeo.joins(room)
    await romeo.receives(presenceOf(`${room}/${irc.nick}`))
    await romeo.says(room, 'But soft', 'm1')
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${balcony} :But soft$`))
    await romeo.receives(messageOf(`${room}/${romeo.nick}`, { id: 'm1' }))
    irc.say(balcony, 'what light')
    await romeo.receives(messageOf(`${room}/${irc.nick}`, { body: 'what light' }))

    // In private, from somebody that nobody wrote to before, and back.
    irc.say(romeo.nick, 'psst')
    const friend = at(`${irc.nick}%127.0.0.1,${port}`)
    await romeo.receives(messageOf(friend, { body: 'psst' }))
    await romeo.sends(xml`<message to="${friend}" type="chat"><body>yes?</body></message>`)
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${irc.nick} :yes\\?$`))

    // With the colon escaped it is the same room, under another JID.
    const escaped = at(`${balcony}%127.0.0.1\\3a${port}`)
    await juliet.joins(escaped)
    irc.say(balcony, 'for both')
    await romeo.receives(messageOf(`${room}/${irc.nick}`, { body: 'for both' }))
    await juliet.receives(messageOf(`${escaped}/${irc.nick}`, { body: 'for both' }))
    for (const [person, own] of [
      [romeo, room],
      [juliet, escaped],
    ] as const) {
      const others = person.client.stanzas
        .map(({ attrs }) => bareOf(attrs.from))
        .filter(from => from.startsWith('#') && from !== own)
      assert.deepEqual(others, [], jid)
    }
  },
)

scenario('what no server can be is refused at once', { isOpen: true }, async ({ romeo, at }) => {
  const muc = '<x xmlns="http://jabber.org/protocol/muc"/>'
  for (const server of ['%127.0.0.1,', '%127.0.0.1,0', '%127.0.0.1,irc', '%127.0.0.1,6667,6668', '']) {
    const room = at(`#verona${server}`)
    await romeo.sends(`${xml`<presence to="${`${room}/nurse`}">`}${muc}</presence>`)
    const error = await romeo.receives(presenceOf(`${room}/nurse`, { type: 'error' }))
    assert.equal(errorOf(error), 'modify/jid-malformed', server)
  }
})
