import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  Affiliation,
  ChatState,
  CommandFailed_Stanza,
  MessageReceived,
  OccupantPresence,
  Role,
  SendMessage_Kind,
  Show,
} from '@spectrum/messages'
import { type NatsServer, type ProsodyServer, startNats, startProsody, waitUntil, XmppClient } from '@spectrum/stack'
import { startInProcess } from './frontend-process.ts'
import { Neighbours } from './neighbours.ts'

const jid = 'irc.localhost'
const secret = 'component secret'
const room = { name: '#verona', node: '#verona', resource: '' }
const roomJid = `#verona@${jid}`

describe('a frontend between a real XMPP server and a real bus', () => {
  let prosody: ProsodyServer
  let nats: NatsServer
  let frontend: Awaited<ReturnType<typeof startInProcess>>
  let neighbours: Neighbours
  let romeo: XmppClient
  const romeoJid = 'romeo@localhost'

  before(async () => {
    const users = ['romeo', 'juliet', 'mercutio'].map(name => ({ name, password: 'secret' }))
    // A server that lets through what no server should.
    const config = 'c2s_stanza_size_limit = 20 * 1024 * 1024'
    prosody = await startProsody({ component: { jid, secret }, users, config })
    nats = await startNats()
    neighbours = await Neighbours.start(nats.url, jid)
    frontend = await startInProcess({ jid, secret, natsUrl: nats.url, componentPort: prosody.componentPort })
    await waitUntil(() => frontend.ready?.() === true, {
      deadlineMs: 20_000,
      describe: () => String(frontend.ready?.()),
    })
    romeo = await login('romeo', 'orchard')
  })
  after(async () => {
    await romeo?.[Symbol.asyncDispose]()
    await frontend?.[Symbol.asyncDispose]()
    await neighbours?.[Symbol.asyncDispose]()
    await nats?.[Symbol.asyncDispose]()
    await prosody?.[Symbol.asyncDispose]()
  })
  const login = (name: string, resource: string) =>
    XmppClient.connect({ port: prosody.clientPort, domain: 'localhost', name, password: 'secret', resource })
  const metric = async (name: string, labels: Record<string, string>) => {
    const found = await frontend.registry.getSingleMetric(`spectrum_${name}`)?.get()
    const matches = (value: { labels: object }) =>
      Object.entries(labels).every(([key, label]) => (value.labels as Record<string, unknown>)[key] === label)
    return found?.values.filter(matches).reduce((sum, { value }) => sum + value, 0) ?? 0
  }

  test('tells what it is', async () => {
    const info = await romeo.request('get', jid, '<query xmlns="http://jabber.org/protocol/disco#info"/>')
    const query = info.getChild('query')
    assert.deepEqual(
      { ...query?.getChild('identity')?.attrs },
      { category: 'gateway', type: 'irc', name: 'Spectrum 2 Transport' },
    )
    const features = query?.getChildren('feature').map(({ attrs }) => attrs.var)
    for (const feature of ['jabber:iq:register', 'http://jabber.org/protocol/muc', 'urn:xmpp:ping']) {
      assert.ok(features?.includes(feature), `${feature} is missing in ${features}`)
    }
    const aboutRoom = await romeo.request('get', roomJid, '<query xmlns="http://jabber.org/protocol/disco#info"/>')
    assert.equal(aboutRoom.getChild('query')?.getChild('identity')?.attrs.category, 'conference')
    const items = await romeo.request('get', jid, '<query xmlns="http://jabber.org/protocol/disco#items"/>')
    assert.equal(items.attrs.type, 'result')
  })

  test('refuses presence and joins of a user who is not registered', async () => {
    romeo.sends(`<presence to="${jid}"/>`)
    await romeo.receives(
      `<presence type="error" from="${jid}"><error type="auth"><registration-required xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></presence>`,
    )
    romeo.sends(`<presence to="${roomJid}/romeo" id="j1"><x xmlns="http://jabber.org/protocol/muc"/></presence>`)
    await romeo.receives(`<presence type="error" id="j1" from="${roomJid}/romeo"><error type="auth"/></presence>`)
    const selfPing = await romeo.request('get', `${roomJid}/romeo`, '<ping xmlns="urn:xmpp:ping"/>')
    assert.ok(selfPing.getChild('error')?.getChild('not-acceptable'), String(selfPing))
    romeo.sends(`<message to="tybalt@${jid}" id="m1" type="chat"><body>?</body></message>`)
    await romeo.receives('<message type="error" id="m1"><error type="auth"/></message>')
  })

  test('registers by form and by legacy fields, and says what is wrong', async () => {
    const ns = 'xmlns="jabber:iq:register"'
    const offered = await romeo.request('get', jid, `<query ${ns}/>`)
    const form = offered.getChild('query')?.getChild('x', 'jabber:x:data')
    assert.deepEqual(
      form?.getChildren('field').map(({ attrs }) => [attrs.var, attrs.type]),
      [
        ['FORM_TYPE', 'hidden'],
        ['username', 'text-single'],
        ['password', 'text-private'],
        ['language', 'list-single'],
      ],
    )
    for (const fields of [
      '',
      '<username/>',
      '<username>romeo</username>',
      `<username>${romeoJid}</username><password>x</password>`,
    ]) {
      const answer = await romeo.request('set', jid, `<query ${ns}>${fields}</query>`)
      assert.ok(answer.getChild('error')?.getChild('not-acceptable'), fields)
    }
    const alien = await romeo.request(
      'set',
      jid,
      `<query ${ns}><x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>other</value></field></x></query>`,
    )
    assert.ok(alien.getChild('error')?.getChild('bad-request'))
    const good = await romeo.request(
      'set',
      jid,
      `<query ${ns}><x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE"><value>jabber:iq:register</value></field><field var="username"><value>montague</value></field><field var="password"><value>pass</value></field></x></query>`,
    )
    assert.equal(good.attrs.type, 'result')
    assert.deepEqual(neighbours.registered.get(romeoJid), { username: 'montague', password: 'pass' })
    await romeo.receives(`<presence type="subscribe" from="${jid}"/>`)
    const again = await romeo.request(
      'set',
      jid,
      `<query ${ns}><username>montague2</username><password>new</password></query>`,
    )
    assert.equal(again.attrs.type, 'result')
    assert.deepEqual(neighbours.registered.get(romeoJid), { username: 'montague2', password: 'new' })
    const filled = await romeo.request('get', jid, `<query ${ns}/>`)
    assert.equal(filled.getChild('query')?.getChildText('username'), 'montague2')
    assert.ok(filled.getChild('query')?.getChild('registered'))
  })

  test('logs in on presence, and keeps the order of what follows', async () => {
    romeo.sends(
      `<presence to="${jid}"><show>away</show><status>in love</status><priority>5</priority></presence>` +
        `<message to="tybalt@${jid}" id="m2" type="chat"><body>first</body></message>` +
        `<message to="tybalt@${jid}" id="m3" type="chat"><body>second</body></message>`,
    )
    const presence = await neighbours.command('setPresence', romeoJid)
    assert.deepEqual(presence.value, { show: Show.SHOW_AWAY, status: 'in love', priority: 5 })
    assert.equal(presence.resource, 'orchard')
    assert.equal(presence.generation, neighbours.placed.get(romeoJid)?.generation)
    assert.equal((await neighbours.command('sendMessage')).value.body, 'first')
    assert.equal((await neighbours.command('sendMessage')).value.body, 'second')
    const mine = neighbours.commands.filter(({ user }) => user === romeoJid).map(({ command }) => command?.$case)
    assert.deepEqual(mine, ['setPresence', 'sendMessage', 'sendMessage'])
    neighbours.tell(`${romeoJid}/orchard`, { $case: 'gatewayPresence', value: { show: Show.SHOW_AWAY, status: '' } })
    await romeo.receives(`<presence from="${jid}"><show>away</show></presence>`)
  })

  test('carries a subscription to the gateway', async () => {
    // The server tells of subscriptions to clients that asked for the roster.
    await romeo.request('get', undefined, '<query xmlns="jabber:iq:roster"/>')
    romeo.sends(`<presence type="subscribe" to="${jid}"/>`)
    await romeo.receives(`<presence type="subscribed" from="${jid}"/>`)
  })

  test('joins a room, talks, changes the subject, talks in private and leaves', async () => {
    romeo.sends(
      `<presence to="${roomJid}/romeo" id="join"><x xmlns="http://jabber.org/protocol/muc"><password>sesame</password><history maxstanzas="7"/></x></presence>`,
    )
    const join = await neighbours.command('joinRoom')
    assert.deepEqual(join.value.room, { ...room, resource: 'romeo' })
    assert.equal(neighbours.open(join.value.password), 'sesame')
    assert.equal(join.value.hasMucElement, true)
    assert.equal(join.value.maxHistoryStanzas, 7)
    assert.equal(join.stanzaId, 'join')
    const full = `${romeoJid}/orchard`
    const occupant = (nick: string, change: Partial<OccupantPresence>) =>
      ({
        $case: 'occupantPresence',
        value: OccupantPresence.fromPartial({
          from: { ...room, resource: nick },
          affiliation: Affiliation.AFFILIATION_MEMBER,
          role: Role.ROLE_PARTICIPANT,
          ...change,
        }),
      }) as const
    neighbours.tell(full, occupant('tybalt', { role: Role.ROLE_MODERATOR }))
    neighbours.tell(full, occupant('romeo', { codes: [110, 210], stanzaId: 'join' }))
    neighbours.tell(full, { $case: 'subjectChanged', value: { from: room, subject: '', id: '' } })
    await romeo.receivesInOrder([
      `<presence from="${roomJid}/tybalt"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="member" role="moderator"/></x></presence>`,
      `<presence from="${roomJid}/romeo" id="join"><x xmlns="http://jabber.org/protocol/muc#user"><item role="participant"/><status code="110"/><status code="210"/></x></presence>`,
      `<message type="groupchat" from="${roomJid}"><subject/></message>`,
    ])
    romeo.sends(
      `<message type="groupchat" to="${roomJid}" id="g1"><body>hello &lt;&amp;&gt;</body><origin-id xmlns="urn:xmpp:sid:0" id="o1"/></message>`,
    )
    const said = await neighbours.command('sendMessage')
    assert.deepEqual(
      [said.value.to, said.value.kind, said.value.body, said.value.originId, said.stanzaId],
      [room, SendMessage_Kind.KIND_GROUPCHAT, 'hello <&>', 'o1', 'g1'],
    )
    neighbours.tell(full, {
      $case: 'messageReceived',
      value: MessageReceived.fromPartial({
        from: { ...room, resource: 'romeo' },
        kind: 1,
        body: 'hello <&>\u0003',
        id: 'g1',
        originId: 'o1',
      }),
    })
    await romeo.receives(
      `<message type="groupchat" from="${roomJid}/romeo" id="g1"><body>hello &lt;&amp;&gt;</body><origin-id xmlns="urn:xmpp:sid:0" id="o1"/></message>`,
    )

    romeo.sends(`<message type="groupchat" to="${roomJid}"><subject>plague</subject></message>`)
    assert.equal((await neighbours.command('setSubject')).value.subject, 'plague')
    romeo.sends(
      `<message type="chat" to="${roomJid}/tybalt" id="p1"><body>a word</body><request xmlns="urn:xmpp:receipts"/><active xmlns="http://jabber.org/protocol/chatstates"/></message>`,
    )
    const whispered = await neighbours.command('sendMessage')
    assert.deepEqual(whispered.value.to, { ...room, resource: 'tybalt' })
    assert.deepEqual([whispered.value.wantsReceipt, whispered.value.chatState], [true, ChatState.CHAT_STATE_ACTIVE])
    neighbours.tell(full, {
      $case: 'messageReceived',
      value: MessageReceived.fromPartial({
        from: { ...room, resource: 'tybalt' },
        body: 'peace?',
        isPrivate: true,
        delayedAtMs: 0,
      }),
    })
    await romeo.receives(
      `<message type="chat" from="${roomJid}/tybalt"><body>peace?</body><x xmlns="http://jabber.org/protocol/muc#user"/><delay xmlns="urn:xmpp:delay" stamp="1970-01-01T00:00:00.000Z"/></message>`,
    )
    neighbours.tell(full, {
      $case: 'commandFailed',
      value: {
        stanza: CommandFailed_Stanza.STANZA_MESSAGE,
        stanzaId: 'g2',
        from: room,
        failure: { code: 'not-joined', text: 'Join first.' },
        isGroupchat: true,
      },
    })
    await romeo.receives(
      `<message type="error" id="g2" from="${roomJid}"><error type="modify"><not-acceptable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`,
    )
    neighbours.tell(full, occupant('romeo', { refused: { code: 'members-only', text: 'No.' }, stanzaId: 'j9' }))
    await romeo.receives(
      `<presence type="error" id="j9"><error type="auth"><registration-required xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></presence>`,
    )

    romeo.sends(`<presence type="unavailable" to="${roomJid}/romeo"><status>bye</status></presence>`)
    assert.deepEqual((await neighbours.command('leaveRoom')).value, {
      room: { ...room, resource: 'romeo' },
      status: 'bye',
    })
  })

  test('splits a line of 600 KiB and the stream survives', async () => {
    const line = '<&> wörds '.repeat(60_000)
    neighbours.tell(`${romeoJid}/orchard`, {
      $case: 'messageReceived',
      value: MessageReceived.fromPartial({ from: { name: 'tybalt', node: '', resource: '' }, body: line, id: 'long' }),
    })
    let received = ''
    while (received.length < line.length) {
      const part = await romeo.receives(`<message from="tybalt@${jid}"><body/></message>`, { deadlineMs: 30_000 })
      received += part.getChildText('body')
    }
    assert.equal(received, line)
  })

  test('discards events of a backend’s earlier epoch, and counts them', async () => {
    const say = (body: string, epoch: number) =>
      neighbours.tell(
        romeoJid,
        { $case: 'messageReceived', value: MessageReceived.fromPartial({ from: { name: 'tybalt' }, body }) },
        { epoch },
      )
    say('now', 3)
    say('past', 2)
    say('after', 3)
    await romeo.receives('<message><body>now</body></message>')
    await romeo.receives('<message><body>after</body></message>')
    assert.ok(!romeo.stanzas.some(stanza => stanza.getChildText('body') === 'past'))
    assert.equal(await metric('dropped_total', { reason: 'older-epoch' }), 1)
    neighbours.epoch = 3
  })

  test('turns a bounce from a resource that is gone into its being offline', async () => {
    neighbours.tell(`${romeoJid}/ghost`, {
      $case: 'messageReceived',
      value: MessageReceived.fromPartial({ from: { ...room, resource: 'tybalt' }, kind: 1, body: 'boo' }),
    })
    // The server, too, says that somebody is away: without a resource, when it refuses a probe.
    const gone = await waitUntil(() => neighbours.commands.find(({ resource }) => resource === 'ghost'))
    assert.deepEqual(gone.command, {
      $case: 'setPresence',
      value: { show: Show.SHOW_OFFLINE, status: '', priority: 0 },
    })
  })

  test('answers what it does not know, and never answers answers', async () => {
    const unknown = await romeo.request('get', jid, '<query xmlns="urn:unknown"/>')
    assert.ok(unknown.getChild('error')?.getChild('service-unavailable'))
    const admin = await romeo.request('get', roomJid, '<query xmlns="http://jabber.org/protocol/muc#admin"/>')
    assert.ok(admin.getChild('error')?.getChild('feature-not-implemented'))
    const ping = await romeo.request('get', jid, '<ping xmlns="urn:xmpp:ping"/>')
    assert.equal(ping.attrs.type, 'result')
    const version = await romeo.request('get', jid, '<query xmlns="jabber:iq:version"/>')
    assert.equal(version.getChild('query')?.getChildText('name'), 'Spectrum')
    romeo.sends(`<message to="${jid}" id="to-gw"><body>hi</body></message>`)
    await romeo.receives('<message type="error" id="to-gw"/>')
    romeo.sends(`<presence to="${roomJid}" id="no-nick"><x xmlns="http://jabber.org/protocol/muc"/></presence>`)
    await romeo.receives(
      `<presence type="error" id="no-nick"><error><jid-malformed xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></presence>`,
    )
    romeo.sends(`<message type="groupchat" to="${roomJid}/tybalt" id="odd"><body>x</body></message>`)
    await romeo.receives('<message type="error" id="odd"><error type="modify"/></message>')
    romeo.forget()
    romeo.sends(
      `<message type="error" to="tybalt@${jid}" id="e1"><body>x</body></message><iq type="result" id="r1" to="${jid}"/><iq type="error" id="r2" to="${jid}"/>`,
    )
    assert.equal((await romeo.request('get', jid, '<ping xmlns="urn:xmpp:ping"/>')).attrs.type, 'result')
    assert.deepEqual(romeo.unread.map(String), [])
  })

  test('unescapes room names, so that a space arrives as one and nothing else does', async () => {
    romeo.sends(`<presence to="#a\\20b@${jid}/romeo"><x xmlns="http://jabber.org/protocol/muc"/></presence>`)
    assert.deepEqual((await neighbours.command('joinRoom')).value.room, {
      name: '#a b',
      node: '#a\\20b',
      resource: 'romeo',
    })
    for (const bad of ['#a\rb', '#a&#10;b', '#a b']) {
      romeo.sends(`<presence to="${bad}@${jid}/romeo" id="bad"><x xmlns="http://jabber.org/protocol/muc"/></presence>`)
    }
    romeo.sends(`<presence to="#end@${jid}/romeo"><x xmlns="http://jabber.org/protocol/muc"/></presence>`)
    assert.equal((await neighbours.command('joinRoom')).value.room?.name, '#end')
  })

  test('refuses deep and large stanzas, and goes on', async () => {
    romeo.sends(
      `<message to="tybalt@${jid}" id="deep"><body>x</body>${'<a xmlns="u:a">'.repeat(100)}${'</a>'.repeat(100)}</message>`,
    )
    await romeo.receives(
      `<message type="error" id="deep"><error><policy-violation xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`,
    )
    assert.equal(await metric('dropped_total', { reason: 'too-deep' }), 1)
    romeo.sends(`<message to="tybalt@${jid}" id="huge"><body>${'x'.repeat(10 * 1024 * 1024)}</body></message>`)
    await romeo.receives(
      `<message type="error" id="huge"><error><policy-violation xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`,
      { deadlineMs: 60_000 },
    )
    assert.equal(await metric('dropped_total', { reason: 'too-large' }), 1)
    assert.equal((await romeo.request('get', jid, '<ping xmlns="urn:xmpp:ping"/>')).attrs.type, 'result')
  })

  test('does its work again after the XMPP server was restarted, and loses no event', async () => {
    await prosody.kill()
    await waitUntil(() => frontend.ready?.() !== true, { deadlineMs: 10_000 })
    neighbours.tell(romeoJid, {
      $case: 'messageReceived',
      value: MessageReceived.fromPartial({ from: { name: 'tybalt' }, body: 'while you were away' }),
    })
    await prosody.restart()
    await waitUntil(() => frontend.ready?.() === true, { deadlineMs: 30_000 })
    await using back = await login('romeo', 'orchard')
    back.sends(`<message to="tybalt@${jid}" type="chat"><body>back</body></message>`)
    assert.equal((await neighbours.command('sendMessage')).value.body, 'back')
    await waitUntil(async () => (await metric('frontend_unconfirmed_events', {})) === 0, { deadlineMs: 20_000 })
    romeo = await login('romeo', 'balcony')
  })

  test('unregisters', async () => {
    const gone = await romeo.request('set', jid, '<query xmlns="jabber:iq:register"><remove/></query>')
    assert.equal(gone.attrs.type, 'result')
    assert.equal(neighbours.registered.has(romeoJid), false)
    const twice = await romeo.request('set', jid, '<query xmlns="jabber:iq:register"><remove/></query>')
    assert.ok(twice.getChild('error')?.getChild('registration-required'))
  })
})
