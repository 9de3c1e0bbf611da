import assert from 'node:assert/strict'
import { scenario, waitUntil, xml } from '@spectrum/stack'
import { bareOf, codesOf, errorOf, itemOf, messageOf, presenceOf, resourceOf, toldOf } from './muc.ts'

const muc = '<x xmlns="http://jabber.org/protocol/muc"/>'

scenario(
  'entering shows the others, then oneself, then the subject',
  async ({ romeo, irc, connectIrc, channel, at }) => {
    const balcony = channel('balcony')
    const room = at(balcony)
    await irc.join(balcony)
    irc.send(`TOPIC ${balcony} :Wherefore art thou`)
    const nurse = await connectIrc('nurse')
    await nurse.join(balcony)
    await romeo.joins(room)

    const told = toldOf(romeo.client, room)
    const self = told.findIndex(stanza => codesOf(stanza).includes('110'))
    const subject = told.findIndex(stanza => stanza.getChild('subject') !== undefined)
    assert.deepEqual(
      new Set(told.slice(0, self).map(({ attrs }) => resourceOf(attrs.from))),
      new Set([irc.nick, nurse.nick]),
      told.join('\n'),
    )
    assert.equal(resourceOf(told[self]?.attrs.from), romeo.nick)
    assert.equal(subject, self + 1, told.join('\n'))
    assert.equal(told[subject]?.getChildText('subject'), 'Wherefore art thou')
    assert.equal(told[subject]?.attrs.type, 'groupchat')
    // Whoever opened the channel is its operator.
    const operator = told.find(({ attrs }) => resourceOf(attrs.from) === irc.nick)
    assert.equal(operator && itemOf(operator)?.attrs.role, 'moderator')
    const plain = told.find(({ attrs }) => resourceOf(attrs.from) === nurse.nick)
    assert.equal(plain && itemOf(plain)?.attrs.role, 'participant')
  },
)

scenario('the answer to a join has the id of the join', async ({ romeo, channel, at }) => {
  const room = at(channel('balcony'))
  await romeo.sends(xml`<presence to="${room}/${romeo.nick}" id="join-1">` + `${muc}</presence>`)
  const self = await romeo.receives(presenceOf(`${room}/${romeo.nick}`, { codes: ['110'] }), { deadlineMs: 30_000 })
  assert.equal(self.attrs.id, 'join-1')
  // An empty subject too ends the entry (XEP-0045 section 7.2.15).
  await romeo.receives(messageOf(room, { type: 'groupchat', subject: '' }))
})

scenario(
  'people talk both ways, and what one says comes back with its id',
  async ({ romeo, juliet, irc, channel, at }) => {
    const balcony = channel('balcony')
    const room = at(balcony)
    await irc.join(balcony)
    await romeo.joins(room)
    await juliet.joins(room)

    const id = await romeo.says(room, 'But soft, what light')
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${balcony} :But soft, what light$`))
    const own = { type: 'groupchat', body: 'But soft, what light' }
    await romeo.receives(messageOf(`${room}/${romeo.nick}`, { ...own, id }))
    await juliet.receives(messageOf(`${room}/${romeo.nick}`, own))

    irc.say(balcony, 'Ay me ☺')
    for (const person of [romeo, juliet])
      await person.receives(messageOf(`${room}/${irc.nick}`, { type: 'groupchat', body: 'Ay me ☺' }))
    // Once, to everybody.
    const copies = (text: string) => toldOf(romeo.client, room).filter(stanza => stanza.getChildText('body') === text)
    assert.equal(copies('But soft, what light').length, 1)
    assert.equal(copies('Ay me ☺').length, 1)
  },
)

scenario('a second resource comes in: occupants, itself, the subject', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  irc.send(`TOPIC ${balcony} :Wherefore`)
  await romeo.joins(room)
  const phone = await romeo.connect('phone')
  await romeo.joins(room, { client: phone })

  const told = toldOf(phone, room)
  assert.deepEqual(
    told.map(stanza => (stanza.getName() === 'presence' ? resourceOf(stanza.attrs.from) : 'the subject')),
    [irc.nick, romeo.nick, 'the subject'],
  )
  assert.deepEqual(codesOf(told[1] ?? assert.fail()), ['110'])
  // One IRC connection joined once.
  assert.equal(irc.lines.filter(line => line.startsWith(`:${romeo.nick}!`) && / JOIN /.test(line)).length, 1)

  // What one resource says, the other sees too; what IRC says, both.
  const id = await romeo.says(room, 'from the desk')
  await phone.receives(messageOf(`${room}/${romeo.nick}`, { type: 'groupchat', body: 'from the desk' }))
  await romeo.receives(messageOf(`${room}/${romeo.nick}`, { id }))
  irc.say(balcony, 'to both')
  for (const client of [romeo.client, phone])
    await client.receives(messageOf(`${room}/${irc.nick}`, { body: 'to both' }))
})

scenario('one resource leaves, the other stays; the last one leaves IRC', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  const phone = await romeo.connect('phone')
  await romeo.joins(room, { client: phone })

  await romeo.sends(xml`<presence to="${room}/${romeo.nick}" type="unavailable"/>`)
  await romeo.receives(presenceOf(`${room}/${romeo.nick}`, { type: 'unavailable', codes: ['110'] }))
  irc.say(balcony, 'still here?')
  await phone.receives(messageOf(`${room}/${irc.nick}`, { body: 'still here?' }))
  assert.equal(irc.hasSeen(new RegExp(`^:${romeo.nick}!\\S* (PART|QUIT)`)), false)
  // Whoever has left hears nothing, and may say nothing.
  await romeo.says(room, 'may I?', 'm1')
  const refused = await romeo.receives(messageOf(room, { type: 'error', id: 'm1' }))
  assert.equal(errorOf(refused), 'modify/not-acceptable')
  assert.equal(
    toldOf(romeo.client, room).some(stanza => stanza.getChildText('body') === 'still here?'),
    false,
  )

  phone.sends(xml`<presence to="${room}/${romeo.nick}" type="unavailable"><status>parting is such</status></presence>`)
  await phone.receives(presenceOf(`${room}/${romeo.nick}`, { type: 'unavailable', codes: ['110'] }))
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PART ${balcony} :"?parting is such"?$`))
  assert.equal(irc.hasSeen(new RegExp(`^:${romeo.nick}!\\S* QUIT`)), false)
})

scenario('the subject changes both ways', async ({ romeo, juliet, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  await juliet.joins(room)

  irc.send(`TOPIC ${balcony} :The nightingale`)
  for (const person of [romeo, juliet])
    await person.receives(messageOf(`${room}/${irc.nick}`, { type: 'groupchat', subject: 'The nightingale' }))

  await romeo.sends(xml`<message to="${room}" type="groupchat" id="s1"><subject>The lark</subject></message>`)
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* TOPIC ${balcony} :The lark$`))
  for (const person of [romeo, juliet])
    await person.receives(messageOf(`${room}/${romeo.nick}`, { type: 'groupchat', subject: 'The lark' }))

  irc.send(`MODE ${balcony} +t`)
  await irc.waitFor(new RegExp(` MODE ${balcony} \\+t`))
  await romeo.sends(xml`<message to="${room}" type="groupchat" id="s2"><subject>Mine</subject></message>`)
  const refused = await romeo.receives(messageOf(room, { type: 'error', id: 's2' }))
  assert.equal(errorOf(refused), 'auth/forbidden')
})

scenario('nicks change both ways', async ({ romeo, juliet, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  await juliet.joins(room)

  const other = `tybalt${irc.nick.replace(/\D/g, '')}`
  irc.send(`NICK ${other}`)
  const [gone] = await romeo.receivesInOrder([
    presenceOf(`${room}/${irc.nick}`, { type: 'unavailable', codes: ['303'] }),
    presenceOf(`${room}/${other}`),
  ])
  assert.equal(gone && itemOf(gone)?.attrs.nick, other)

  const own = `${romeo.nick}x`
  await romeo.sends(xml`<presence to="${room}/${own}"/>`)
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* NICK :?${own}$`))
  await romeo.receivesInOrder([
    presenceOf(`${room}/${romeo.nick}`, { type: 'unavailable', codes: ['303', '110'] }),
    presenceOf(`${room}/${own}`, { codes: ['110'] }),
  ])
  await juliet.receivesInOrder([
    presenceOf(`${room}/${romeo.nick}`, { type: 'unavailable', codes: ['303'] }),
    presenceOf(`${room}/${own}`),
  ])
  const id = await romeo.says(room, 'new baptized')
  await romeo.receives(messageOf(`${room}/${own}`, { id }))

  await romeo.sends(xml`<presence to="${room}/${juliet.nick}" id="n1"/>`)
  const refused = await romeo.receives(stanza => stanza.is('presence') && stanza.attrs.type === 'error')
  assert.equal(errorOf(refused), 'cancel/conflict')
})

scenario('whoever is kicked hears by whom and why', async ({ romeo, juliet, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  await juliet.joins(room)

  irc.send(`KICK ${balcony} ${romeo.nick} :Hence, banished`)
  const own = await romeo.receives(presenceOf(`${room}/${romeo.nick}`, { type: 'unavailable', codes: ['110', '307'] }))
  const item = itemOf(own)
  assert.equal(item?.attrs.role, 'none')
  assert.equal(item?.getChild('actor')?.attrs.nick, irc.nick)
  assert.equal(item?.getChildText('reason'), 'Hence, banished')
  const others = await juliet.receives(presenceOf(`${room}/${romeo.nick}`, { type: 'unavailable', codes: ['307'] }))
  assert.equal(codesOf(others).includes('110'), false)

  // Out means out, and coming back is allowed.
  await romeo.says(room, 'may I?', 'm1')
  assert.equal(errorOf(await romeo.receives(messageOf(room, { type: 'error', id: 'm1' }))), 'modify/not-acceptable')
  await romeo.joins(room)
})

scenario('people of IRC come, part and quit', async ({ romeo, connectIrc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await romeo.joins(room)
  const nurse = await connectIrc('nurse')
  await nurse.join(balcony)
  await romeo.receives(presenceOf(`${room}/${nurse.nick}`))
  nurse.send(`PART ${balcony} :Anon`)
  const parted = await romeo.receives(presenceOf(`${room}/${nurse.nick}`, { type: 'unavailable' }))
  assert.match(parted.getChildText('status') ?? '', /Anon/)
  assert.deepEqual(codesOf(parted), [])
  await nurse.join(balcony)
  await romeo.receives(presenceOf(`${room}/${nurse.nick}`))
  nurse.send('QUIT :Peace')
  const quit = await romeo.receives(presenceOf(`${room}/${nurse.nick}`, { type: 'unavailable' }))
  assert.match(quit.getChildText('status') ?? '', /Peace/)
})

scenario('operators come and go', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  const role = (wanted: string) => (stanza: Parameters<typeof itemOf>[0]) =>
    stanza.attrs.from === `${room}/${romeo.nick}` && itemOf(stanza)?.attrs.role === wanted
  romeo.client.forget()
  irc.send(`MODE ${balcony} +o ${romeo.nick}`)
  await romeo.receives(role('moderator'))
  irc.send(`MODE ${balcony} -o ${romeo.nick}`)
  await romeo.receives(role('participant'))
})

scenario('private messages go both ways', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  await romeo.sends(xml`<message to="${room}/${irc.nick}" type="chat" id="p1"><body>a word</body></message>`)
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${irc.nick} :a word$`))
  irc.say(romeo.nick, 'a word back')
  const answer = await romeo.receives(messageOf(`${room}/${irc.nick}`, { type: 'chat', body: 'a word back' }))
  assert.ok(answer.getChild('x', 'http://jabber.org/protocol/muc#user'))

  await romeo.sends(xml`<message to="${room}/nobody" type="chat" id="p2"><body>hello?</body></message>`)
  assert.equal(
    errorOf(await romeo.receives(messageOf(`${room}/nobody`, { type: 'error', id: 'p2' }))),
    'cancel/item-not-found',
  )
  // A private message to the room itself makes no sense (XEP-0045 section 7.4).
  await romeo.sends(xml`<message to="${room}" type="chat" id="p3"><body>hello?</body></message>`)
  assert.equal(errorOf(await romeo.receives(messageOf(room, { type: 'error', id: 'p3' }))), 'modify/bad-request')
  // And what goes to all does not go to one.
  await romeo.sends(xml`<message to="${room}/${irc.nick}" type="groupchat" id="p4"><body>hello?</body></message>`)
  const refused = await romeo.receives(stanza => stanza.attrs.id === 'p4' && stanza.attrs.type === 'error')
  assert.equal(errorOf(refused), 'modify/bad-request')
})

scenario('actions, several lines and long lines arrive whole', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  await romeo.says(room, '/me sighs')
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${balcony} :\\x01ACTION sighs\\x01$`))
  irc.say(balcony, '\x01ACTION looks down\x01')
  await romeo.receives(messageOf(`${room}/${irc.nick}`, { body: '/me looks down' }))

  const id = await romeo.says(room, 'one\ntwo\r\n\nthree')
  for (const word of ['one', 'two', 'three']) await irc.waitFor(new RegExp(` PRIVMSG ${balcony} :${word}$`))
  await romeo.receives(messageOf(`${room}/${romeo.nick}`, { id }))

  const words = Array.from({ length: 300 }, (_, index) => `wörd${index}`).join(' ')
  const from = irc.lines.length
  await romeo.says(room, words)
  const said = () =>
    irc.lines
      .slice(from)
      .flatMap(line => / PRIVMSG \S+ :(.*)$/.exec(line)?.[1] ?? [])
      .join(' ')
      .replace(/ +/g, ' ')
  await waitUntil(() => said() === words, { describe: said })
})

scenario('upper case in names is kept where it was written', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('Balcony')
  // XMPP folds the JID; IRC finds the same channel.
  const room = at(balcony.toLowerCase())
  await irc.join(balcony)
  await romeo.sends(xml`<presence to="${at(balcony)}/${romeo.nick}">` + `${muc}</presence>`)
  await romeo.receives(presenceOf(`${room}/${romeo.nick}`, { codes: ['110'] }), { deadlineMs: 30_000 })
  await romeo.says(room, 'hello')
  await irc.waitFor(new RegExp(` PRIVMSG ${balcony} :hello$`, 'i'))
  irc.say(balcony, 'and back')
  await romeo.receives(messageOf(`${room}/${irc.nick}`, { body: 'and back' }))
  // A nick keeps its case.
  const nick = `NuRSe${irc.nick.replace(/\D/g, '')}`
  irc.send(`NICK ${nick}`)
  await romeo.receives(presenceOf(`${room}/${nick}`))
})

scenario('a nick that somebody else has is not taken from them', { isRegistered: false }, async scene => {
  const { romeo, irc, channel, at } = scene
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.registers({ username: irc.nick })
  await romeo.sends(xml`<presence to="${room}/${irc.nick}">` + `${muc}</presence>`)
  // The network gave another one: 210 says so (XEP-0045 section 7.2.6).
  const self = await romeo.receives(stanza => bareOf(stanza.attrs.from) === room && codesOf(stanza).includes('110'), {
    deadlineMs: 30_000,
  })
  assert.notEqual(resourceOf(self.attrs.from), irc.nick)
  assert.ok(codesOf(self).includes('210'), String(self))
})
