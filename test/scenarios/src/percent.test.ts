import assert from 'node:assert/strict'
import { scenario, xml } from '@spectrum/stack'
import { messageOf, presenceOf } from './muc.ts'

scenario('a percent sign in the name of a channel is itself, both ways', async ({ romeo, irc, channel, at }) => {
  const off = `${channel('sale')}50%off`
  await irc.join(off)
  await romeo.joins(at(off))
  await romeo.says(at(off), 'sold')
  await irc.waitFor(new RegExp(`PRIVMSG ${off} :sold`, 'i'))
  irc.say(off, 'bought')
  await romeo.receives(messageOf(`${at(off)}/${irc.nick}`, { body: 'bought' }))

  // An @ is escaped as XEP-0106 has it, and comes back so.
  const pair = `${channel('pair')}a@b`
  const room = at(pair.replace('@', '\\40'))
  await irc.join(pair)
  await romeo.sends(xml`<presence to="${room}/${romeo.nick}"><x xmlns="http://jabber.org/protocol/muc"/></presence>`)
  await romeo.receives(presenceOf(`${room}/${romeo.nick}`, { codes: ['110'] }), { deadlineMs: 30_000 })
  irc.say(pair, 'two')
  const told = await romeo.receives(messageOf(`${room}/${irc.nick}`, { body: 'two' }))
  assert.equal(told.attrs.type, 'groupchat')
})
