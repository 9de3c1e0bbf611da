import assert from 'node:assert/strict'
import { scenario, waitUntil, xml } from '@spectrum/stack'
import { codesOf, itemOf, messageOf, presenceOf, toldOf } from './muc.ts'

// InspIRCd has most extensions of IRCv3: own lines come back, times and ids are attached, joins tell more.
const inspircd = { irc: 'inspircd', timeoutMs: 120_000 } as const

scenario('on a server that echoes, nothing is said twice', inspircd, async ({ romeo, juliet, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  await juliet.joins(room)
  const id = await romeo.says(room, 'But soft')
  await irc.waitFor(new RegExp(`^\\S*:?${romeo.nick}!\\S* PRIVMSG ${balcony} :But soft$`))
  await romeo.receives(messageOf(`${room}/${romeo.nick}`, { id, body: 'But soft' }))
  await juliet.receives(messageOf(`${room}/${romeo.nick}`, { body: 'But soft' }))
  await romeo.sends(xml`<message to="${at(irc.nick)}" type="chat"><body>in private</body></message>`)
  await irc.waitFor(/ PRIVMSG \S+ :in private$/)
  irc.say(balcony, 'the end')
  for (const person of [romeo, juliet]) {
    await person.receives(messageOf(`${room}/${irc.nick}`, { body: 'the end' }))
    assert.equal(toldOf(person.client, room).filter(stanza => stanza.getChildText('body') === 'But soft').length, 1)
  }
  assert.equal(
    romeo.client.stanzas.some(stanza => stanza.getChildText('body') === 'in private'),
    false,
  )
})

scenario('nick, subject, roles and kicks there', inspircd, async ({ romeo, juliet, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  await juliet.joins(room)
  irc.send(`MODE ${balcony} +o ${romeo.nick}`)
  await juliet.receives(
    stanza => stanza.attrs.from === `${room}/${romeo.nick}` && itemOf(stanza)?.attrs.role === 'moderator',
  )
  await romeo.sends(xml`<message to="${room}" type="groupchat"><subject>The lark</subject></message>`)
  await juliet.receives(messageOf(`${room}/${romeo.nick}`, { subject: 'The lark' }))
  const nick = `${romeo.nick}x`
  await romeo.sends(xml`<presence to="${room}/${nick}"/>`)
  await romeo.receives(presenceOf(`${room}/${nick}`, { codes: ['110'] }))
  await juliet.receives(presenceOf(`${room}/${nick}`))
  irc.send(`KICK ${balcony} ${nick} :out`)
  const out = await romeo.receives(presenceOf(`${room}/${nick}`, { type: 'unavailable', codes: ['307', '110'] }))
  assert.equal(itemOf(out)?.getChildText('reason'), 'out')
  await romeo.joins(room, { nick })
})

scenario('the server is killed and started: rooms are joined again', inspircd, async scene => {
  const { romeo, irc, stack, connectIrc, channel, at } = scene
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  await stack.ircServer.kill()
  await stack.ircServer.start()
  const nurse = await connectIrc('nurse')
  await nurse.join(balcony)
  // Whoever is in the room is told who is there now, and is not thrown out.
  await romeo.receives(presenceOf(`${room}/${nurse.nick}`), { deadlineMs: 60_000 })
  await romeo.receives(presenceOf(`${room}/${irc.nick}`, { type: 'unavailable' }), { deadlineMs: 60_000 })
  await waitUntil(async () => {
    const id = await romeo.says(room, 'back again')
    return (await romeo.receives(stanza => stanza.attrs.id === id, { deadlineMs: 60_000 })).attrs.type !== 'error'
  })
  await nurse.waitFor(new RegExp(` PRIVMSG ${balcony} :back again$`))
  const own = toldOf(romeo.client, room).filter(
    stanza => stanza.attrs.type === 'unavailable' && codesOf(stanza).includes('110'),
  )
  assert.deepEqual(own.map(String), [])
})
