import assert from 'node:assert/strict'
import { type Person, scenario, xml } from '@spectrum/stack'
import { errorOf, messageOf, presenceOf, rosterPush, type Stanza } from './muc.ts'

const info = 'http://jabber.org/protocol/disco#info'
const items = 'http://jabber.org/protocol/disco#items'

const get = (person: Person, jid: string, payload: string) => person.client.request('get', jid, payload)

function featuresOf(answer: Stanza): string[] {
  const features = answer.getChild('query', info)?.getChildren('feature') ?? []
  return features.map(({ attrs }) => String(attrs.var))
}

function identityOf(answer: Stanza): Record<string, unknown> {
  const { category, type, name } = answer.getChild('query', info)?.getChild('identity')?.attrs ?? {}
  return { category, type, name }
}

scenario('people talk in private both ways', async ({ romeo, irc, at }) => {
  await romeo.sends(xml`<message to="${at(irc.nick)}" type="chat" id="c1"><body>Good morrow</body></message>`)
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${irc.nick} :Good morrow$`))
  irc.say(romeo.nick, 'Is the day so young?')
  const answer = await romeo.receives(messageOf(at(irc.nick), { type: 'chat', body: 'Is the day so young?' }))
  assert.ok(answer.attrs.id)
  assert.equal(
    romeo.client.stanzas.some(stanza => stanza.attrs.type === 'error'),
    false,
  )
})

scenario('what the contact says goes to the bare JID, so that the server chooses the client', async scene => {
  const { romeo, irc, at, jid } = scene
  const phone = await romeo.connect('phone')
  phone.sends(xml`<presence to="${jid}"><priority>5</priority></presence>`)
  phone.sends('<presence><priority>5</priority></presence>')
  await phone.receives(xml`<presence from="${jid}"/>`)
  irc.say(romeo.nick, 'one for all')
  await phone.receives(messageOf(at(irc.nick), { body: 'one for all' }))
})

scenario('nobody of that name: each message comes back in the network’s words', async ({ romeo, at, jid }) => {
  for (const id of ['c1', 'c2'])
    await romeo.sends(xml`<message to="${at('nobodyatall')}" type="chat" id="${id}"><body>hello?</body></message>`)
  for (const id of ['c1', 'c2']) {
    const error = await romeo.receives(messageOf(at('nobodyatall'), { type: 'error', id }))
    assert.equal(errorOf(error), 'cancel/item-not-found', String(error))
    assert.match(error.getChild('error')?.getChildText('text') ?? '', /no such/i)
  }
  assert.ok(!romeo.client.stanzas.some(stanza => stanza.is('message') && stanza.attrs.from === jid))
})

scenario('the gateway takes no messages itself', async ({ romeo, jid }) => {
  await romeo.sends(xml`<message to="${jid}" id="g1"><body>hello?</body></message>`)
  assert.equal(
    errorOf(await romeo.receives(messageOf(jid, { type: 'error', id: 'g1' }))),
    'cancel/feature-not-implemented',
  )
})

scenario('a chat state alone is no line on IRC', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('balcony')
  await irc.join(balcony)
  await romeo.joins(at(balcony))
  const from = irc.lines.length
  const state = '<composing xmlns="http://jabber.org/protocol/chatstates"/>'
  await romeo.sends(xml`<message to="${at(irc.nick)}" type="chat">` + `${state}</message>`)
  await romeo.sends(xml`<message to="${at(balcony)}" type="groupchat">` + `${state}</message>`)
  await romeo.sends(xml`<message to="${at(irc.nick)}" type="chat"><body>done</body></message>`)
  await irc.waitFor(/ PRIVMSG \S+ :done$/)
  assert.equal(irc.lines.slice(from).filter(line => / PRIVMSG /.test(line)).length, 1)
})

scenario('service discovery tells what the gateway is', async ({ romeo, jid }) => {
  const answer = await get(romeo, jid, `<query xmlns="${info}"/>`)
  assert.deepEqual(identityOf(answer), { category: 'gateway', type: 'irc', name: 'Spectrum 2 Transport' })
  const features = featuresOf(answer)
  for (const feature of [info, items, 'jabber:iq:register', 'http://jabber.org/protocol/muc', 'urn:xmpp:ping'])
    assert.ok(features.includes(feature), `${feature} is not in ${features}`)
  assert.equal((await get(romeo, jid, `<query xmlns="${items}"/>`)).attrs.type, 'result')
  const node = await get(romeo, jid, `<query xmlns="${info}" node="no-such-node"/>`)
  assert.equal(errorOf(node), 'cancel/item-not-found')
})

scenario('service discovery tells rooms from people', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = await get(romeo, at(balcony), `<query xmlns="${info}"/>`)
  assert.equal(identityOf(room).category, 'conference')
  assert.equal(identityOf(room).type, 'text')
  assert.ok(featuresOf(room).includes('http://jabber.org/protocol/muc'))
  // A room that one is in is a room still.
  await romeo.joins(at(balcony))
  assert.equal(identityOf(await get(romeo, at(balcony), `<query xmlns="${info}"/>`)).category, 'conference')
  const contact = await get(romeo, at(irc.nick), `<query xmlns="${info}"/>`)
  assert.equal(identityOf(contact).category, 'client')
  assert.ok(featuresOf(contact).includes('http://jabber.org/protocol/chatstates'))
  for (const jid of [at(balcony), at(irc.nick)])
    assert.equal((await get(romeo, jid, `<query xmlns="${items}"/>`)).attrs.type, 'result')
})

scenario('pings, versions and what nobody knows are answered', async ({ romeo, irc, channel, jid, at }) => {
  for (const address of [jid, at(irc.nick), at(channel('balcony'))]) {
    assert.equal((await get(romeo, address, '<ping xmlns="urn:xmpp:ping"/>')).attrs.type, 'result')
    const unknown = await get(romeo, address, '<query xmlns="urn:example:unknown"/>')
    assert.equal(errorOf(unknown), 'cancel/service-unavailable')
    const set = await romeo.client.request('set', address, '<ping xmlns="urn:xmpp:ping"/>')
    assert.equal(errorOf(set), 'cancel/feature-not-implemented')
  }
  const version = await get(romeo, jid, '<query xmlns="jabber:iq:version"/>')
  assert.equal(version.getChild('query', 'jabber:iq:version')?.getChildText('name'), 'Spectrum')
  assert.match(version.getChild('query', 'jabber:iq:version')?.getChildText('version') ?? '', /^\d+\.\d+/)
})

scenario('XEP-0100: a name becomes a JID', async ({ romeo, jid, at }) => {
  const prompt = await get(romeo, jid, '<query xmlns="jabber:iq:gateway"/>')
  assert.ok(prompt.getChild('query', 'jabber:iq:gateway')?.getChild('prompt'))
  const answer = await romeo.client.request(
    'set',
    jid,
    '<query xmlns="jabber:iq:gateway"><prompt>mercutio</prompt></query>',
  )
  assert.equal(answer.getChild('query', 'jabber:iq:gateway')?.getChildText('jid'), at('mercutio'))
})

scenario('a contact may be added and removed', async ({ romeo, irc, at }) => {
  await romeo.client.request('get', undefined, '<query xmlns="jabber:iq:roster"/>')
  await romeo.sends(xml`<presence to="${at(irc.nick)}" type="subscribe"/>`)
  await romeo.receives(rosterPush(at(irc.nick), 'to'))
  await romeo.sends(xml`<presence to="${at(irc.nick)}" type="unsubscribe"/>`)
  await romeo.receives(rosterPush(at(irc.nick), 'none'))
})

scenario('unavailable presence to a contact is no logout', async ({ romeo, irc, at }) => {
  await romeo.sends(xml`<presence to="${at(irc.nick)}" type="unavailable"/>`)
  irc.say(romeo.nick, 'still there?')
  await romeo.receives(messageOf(at(irc.nick), { body: 'still there?' }))
  assert.equal(romeo.client.stanzas.some(presenceOf(at(irc.nick), { type: 'error' })), false)
})
