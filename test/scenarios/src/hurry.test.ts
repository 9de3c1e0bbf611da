import assert from 'node:assert/strict'
import { scenario, waitUntil, xml } from '@spectrum/stack'
import { goneFromIrc, isOnIrc } from './irc-questions.ts'
import { heard, heardOnIrc, numbered } from './lines.ts'
import { bareOf, codesOf, errorOf, messageOf, presenceOf } from './muc.ts'
import { rowsWith } from './stored-rows.ts'

const muc = '<x xmlns="http://jabber.org/protocol/muc"/>'

scenario('who comes and goes without waiting ends up as the last word says', { timeoutMs: 120_000 }, async scene => {
  const { romeo, juliet, irc, jid } = scene
  for (let round = 0; round < 10; round++) {
    await romeo.sends(xml`<presence to="${jid}" type="unavailable"/>`)
    await romeo.sends(xml`<presence to="${jid}"/>`)
    await juliet.sends(xml`<presence to="${jid}"/>`)
    await juliet.sends(xml`<presence to="${jid}" type="unavailable"/>`)
  }
  await goneFromIrc(irc, juliet.nick)
  await waitUntil(() => isOnIrc(irc, romeo.nick), { deadlineMs: 30_000 })
  // And there is exactly one of them who works.
  await romeo.sends(xml`<message to="${scene.at(irc.nick)}" type="chat"><body>here I am</body></message>`)
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${irc.nick} :here I am$`), { deadlineMs: 30_000 })
  await juliet.sends(xml`<message to="${scene.at(irc.nick)}" type="chat" id="gone"><body>and I</body></message>`)
  assert.equal(
    errorOf(await juliet.receives(messageOf(scene.at(irc.nick), { type: 'error', id: 'gone' }))),
    'wait/recipient-unavailable',
  )
})

scenario('joining, leaving and joining at once ends in the room', { timeoutMs: 120_000 }, async scene => {
  const { romeo, irc, channel, at } = scene
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  for (let round = 0; round < 10; round++) {
    await romeo.sends(`${xml`<presence to="${room}/${romeo.nick}">`}${muc}</presence>`)
    await romeo.sends(xml`<presence to="${room}/${romeo.nick}" type="unavailable"/>`)
  }
  await romeo.sends(`${xml`<presence to="${room}/${romeo.nick}" id="last">`}${muc}</presence>`)
  const self = await romeo.receives(stanza => stanza.attrs.id === 'last', { deadlineMs: 30_000 })
  assert.ok(codesOf(self).includes('110'), String(self))
  const id = await romeo.says(room, 'in at last')
  await romeo.receives(messageOf(`${room}/${romeo.nick}`, { id }))
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${balcony} :in at last$`))
})

scenario('what is said before the login is done waits for it, in order', { isRegistered: false }, async scene => {
  const { romeo, irc, jid, channel, at } = scene
  await romeo.registers()
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.sends(xml`<presence to="${jid}"/>`)
  await romeo.sends(`${xml`<presence to="${room}/${romeo.nick}">`}${muc}</presence>`)
  for (const text of numbered('early', 50)) await romeo.says(room, text)
  assert.deepEqual(await heard(() => heardOnIrc(irc, 'early-'), 'early-50'), numbered('early', 50))
})

scenario('thirty rooms at once', { timeoutMs: 120_000 }, async ({ romeo, irc, channel, at }) => {
  const rooms = Array.from({ length: 30 }, (_, index) => channel(`room${index}x`))
  for (const room of rooms) await romeo.sends(`${xml`<presence to="${at(room)}/${romeo.nick}">`}${muc}</presence>`)
  for (const room of rooms)
    await romeo.receives(presenceOf(`${at(room)}/${romeo.nick}`, { codes: ['110'] }), { deadlineMs: 60_000 })
  for (const room of rooms) await irc.join(room)
  for (const room of rooms) await romeo.says(at(room), `in ${room}`)
  for (const room of rooms) await irc.waitFor(new RegExp(` PRIVMSG ${room} :in ${room}$`))
})

scenario('unregistering in the middle of a login leaves nothing behind', { isRegistered: false }, async scene => {
  const { romeo, irc, jid, channel, at, stack } = scene
  for (let round = 0; round < 5; round++) {
    await romeo.registers()
    await romeo.sends(xml`<presence to="${jid}"/>`)
    await romeo.sends(`${xml`<presence to="${at(channel('x'))}/${romeo.nick}">`}${muc}</presence>`)
    const answer = await romeo.client.request('set', jid, '<query xmlns="jabber:iq:register"><remove/></query>')
    assert.equal(answer.attrs.type, 'result', String(answer))
  }
  await goneFromIrc(irc, romeo.nick)
  assert.deepEqual(await rowsWith(stack, romeo.bareJid), [])
  await romeo.registers()
  romeo.client.forget()
  await romeo.logsIn()
  await romeo.joins(at(channel('y')))
})

scenario('two clients join at the same moment, and both are in', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  const clients = [romeo.client, await romeo.connect('phone'), await romeo.connect('tablet')]
  await Promise.all(clients.map(client => romeo.joins(room, { client })))
  irc.say(balcony, 'to all')
  for (const client of clients) await client.receives(messageOf(`${room}/${irc.nick}`, { body: 'to all' }))
  for (const client of clients) {
    const own = client.stanzas.filter(stanza => bareOf(stanza.attrs.from) === room && codesOf(stanza).includes('110'))
    assert.equal(own.length, 1, own.join('\n'))
  }
})
