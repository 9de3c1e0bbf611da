import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { CommandFailed_Stanza, MessageReceived, Show } from '@spectrum/messages'
import { type NatsServer, type ProsodyServer, startNats, startProsody, waitUntil, XmppClient } from '@spectrum/stack'
import { Component, type Element, xml } from '@spectrum/xmpp'
import { startInProcess } from './frontend-process.ts'
import { Neighbours } from './neighbours.ts'

const jid = 'irc.localhost'
const secret = 'component secret'
const room = `#verona@${jid}`
const romeoJid = 'romeo@localhost'
const bot = { jid: 'bot.localhost', secret: 'bot secret' }
const ns = 'xmlns="jabber:iq:register"'
const muc = 'http://jabber.org/protocol/muc'
const long = "'".repeat(250_000)

describe('a frontend among users who mean harm, and users of odd kinds', () => {
  let prosody: ProsodyServer
  let nats: NatsServer
  let frontend: Awaited<ReturnType<typeof startInProcess>>
  let neighbours: Neighbours
  let romeo: XmppClient
  let juliet: XmppClient

  before(async () => {
    const users = ['romeo', 'juliet'].map(name => ({ name, password: 'secret' }))
    const config = 'c2s_stanza_size_limit = 20 * 1024 * 1024'
    prosody = await startProsody({ component: [{ jid, secret }, bot], users, config })
    nats = await startNats()
    neighbours = await Neighbours.start(nats.url, jid)
    frontend = await startInProcess({ jid, secret, natsUrl: nats.url, componentPort: prosody.componentPort })
    await waitUntil(() => frontend.ready?.() === true, {
      deadlineMs: 20_000,
      describe: () => String(frontend.ready?.()),
    })
    const login = (name: string) =>
      XmppClient.connect({
        port: prosody.clientPort,
        domain: 'localhost',
        name,
        password: 'secret',
        resource: 'orchard',
      })
    romeo = await login('romeo')
    juliet = await login('juliet')
  })
  after(async () => {
    await romeo?.[Symbol.asyncDispose]()
    await juliet?.[Symbol.asyncDispose]()
    await frontend?.[Symbol.asyncDispose]()
    await neighbours?.[Symbol.asyncDispose]()
    await nats?.[Symbol.asyncDispose]()
    await prosody?.[Symbol.asyncDispose]()
  })
  beforeEach(() => neighbours.registered.set(romeoJid, { username: 'montague', password: 'pass' }))

  const metric = async (name: string, labels: Record<string, string> = {}) => {
    const found = await frontend.registry.getSingleMetric(`spectrum_${name}`)?.get()
    const matches = (value: { labels: object }) =>
      Object.entries(labels).every(([key, label]) => (value.labels as Record<string, unknown>)[key] === label)
    return found?.values.filter(matches).reduce((sum, { value }) => sum + value, 0) ?? 0
  }
  const dropped = (reason: string) => metric('dropped_total', { reason })
  const conditionOf = (answer: Element | Awaited<ReturnType<XmppClient['request']>>) =>
    String(answer.getChild('error')?.children.map(child => (typeof child === 'string' ? '' : child.name))[0])
  const isAnswered = async (user: XmppClient) =>
    (await user.request('get', jid, '<ping xmlns="urn:xmpp:ping"/>')).attrs.type === 'result'

  test('an iq whose id becomes too large when it is answered is not answered, and costs nobody the stream', async () => {
    romeo.sends(`<iq type="get" to="${jid}" id="${long}"><ping xmlns="urn:xmpp:ping"/></iq>`)
    romeo.sends(`<iq type="get" to="${jid}" id="${long}"><query xmlns="urn:unknown"/></iq>`)
    assert.ok(await isAnswered(romeo))
    assert.ok(await isAnswered(juliet))
    assert.equal(await dropped('id-too-long'), 2)
    assert.equal(await metric('frontend_streams_lost_total'), 0)
  })

  test('messages and presences with such ids are refused at once, without the id', async () => {
    const before = await dropped('id-too-long')
    const refused = [
      [room, `<message type="groupchat" to="${room}" id="${long}"><body>x</body></message>`],
      [`tybalt@${jid}`, `<message type="chat" to="tybalt@${jid}" id="${'i'.repeat(1_024)}"><body>x</body></message>`],
      [`${room}/romeo`, `<presence to="${room}/romeo" id="${long}"><x xmlns="${muc}"/></presence>`],
    ] as const
    for (const [from, stanza] of refused) {
      romeo.sends(stanza)
      const answer = await romeo.receives(found => found.attrs.type === 'error' && found.attrs.from === from)
      assert.deepEqual([conditionOf(answer), answer.attrs.id], ['policy-violation', undefined], from)
    }
    romeo.sends(
      `<message type="groupchat" to="${room}" id="o"><body>x</body><origin-id xmlns="urn:xmpp:sid:0" id="${long}"/></message>`,
    )
    assert.equal(conditionOf(await romeo.receives('<message type="error" id="o"/>')), 'policy-violation')
    assert.equal(await dropped('id-too-long'), before + 4)
    assert.deepEqual(neighbours.commands, [])
    romeo.sends(`<presence to="${jid}"/>`)
    await neighbours.command('setPresence', romeoJid)
    romeo.sends(
      `<message type="groupchat" to="${room}" id="x"><body>x</body><html xmlns="http://jabber.org/protocol/xhtml-im"><body xmlns="http://www.w3.org/1999/xhtml"><span style="${long}">x</span></body></html></message>`,
    )
    assert.equal((await neighbours.command('sendMessage')).value.xhtml, '')
    assert.equal(await dropped('xhtml-too-long'), 1)
  })

  test('who goes is let go, whatever the id', async () => {
    romeo.sends(`<presence to="${room}/romeo"><x xmlns="${muc}"/></presence>`)
    await neighbours.command('joinRoom')
    romeo.sends(`<presence type="unavailable" to="${room}/romeo" id="${long}"/>`)
    assert.equal((await neighbours.command('leaveRoom')).stanzaId, '')
    romeo.sends(`<message type="chat" to="tybalt@${jid}" id="${'i'.repeat(1_023)}"><body>x</body></message>`)
    assert.equal((await neighbours.command('sendMessage')).stanzaId.length, 1_023)
  })

  test('an event that makes a stanza which is too large is counted and finished, and the others go on', async () => {
    const before = await dropped('too-large')
    const attachments = [{ url: `https://example.com/?${'&'.repeat(100_000)}`, description: '' }]
    const say = (body: string, more: object) =>
      neighbours.tell(romeoJid, {
        $case: 'messageReceived',
        value: MessageReceived.fromPartial({ from: { name: 'tybalt' }, body, ...more }),
      })
    say('large', { attachments })
    say('small', {})
    await romeo.receives('<message><body>small</body></message>')
    await waitUntil(async () => (await metric('frontend_unconfirmed_events')) === 0)
    assert.equal(await dropped('too-large'), before + 1)
    assert.equal(await metric('frontend_streams_lost_total'), 0)
  })

  test('registration is with the gateway itself, not with what it stands for', async () => {
    for (const to of [room, `${room}/tybalt`, `tybalt@${jid}`, `${jid}/somewhere`]) {
      for (const [type, children] of [
        ['get', ''],
        ['set', '<remove/>'],
        ['set', '<username>x</username><password>y</password>'],
        ['set', '<x xmlns="jabber:x:data" type="cancel"/>'],
      ] as const) {
        const answer = await romeo.request(type, to, `<query ${ns}>${children}</query>`)
        assert.equal(conditionOf(answer), 'feature-not-implemented', `${type} ${to} ${children}`)
      }
    }
    assert.deepEqual(neighbours.registered.get(romeoJid), { username: 'montague', password: 'pass' })
  })

  test('only a form that was submitted registers or unregisters', async () => {
    const field = (name: string, value: string) => `<field var="${name}"><value>${value}</value></field>`
    const fields = `${field('FORM_TYPE', 'jabber:iq:register')}${field('username', 'other')}${field('password', 'x')}`
    for (const type of [' type="result"', ' type="form"', '', ' type="Submit"']) {
      for (const content of [fields, `${fields}${field('unregister', '1')}`]) {
        const form = `<x xmlns="jabber:x:data"${type}>${content}</x>`
        assert.equal(conditionOf(await romeo.request('set', jid, `<query ${ns}>${form}</query>`)), 'bad-request', form)
      }
    }
    const cancel = `<x xmlns="jabber:x:data" type="cancel">${fields}</x>`
    assert.equal((await romeo.request('set', jid, `<query ${ns}>${cancel}</query>`)).attrs.type, 'result')
    assert.equal(neighbours.registered.get(romeoJid)?.username, 'montague')
  })

  test('a number of characters of history is no number of stanzas', async () => {
    for (const [history, expected] of [
      ['maxchars="65000"', undefined],
      ['maxchars="0"', 0],
      ['maxchars="65000" maxstanzas="20"', 20],
      ['maxstanzas="0"', 0],
      ['seconds="180"', undefined],
    ] as const) {
      romeo.sends(`<presence to="${room}/romeo"><x xmlns="${muc}"><history ${history}/></x></presence>`)
      assert.equal((await neighbours.command('joinRoom')).value.maxHistoryStanzas, expected, history)
    }
  })

  test('whether a client is in a room its worker knows', async () => {
    const ask = (id: string) => {
      romeo.sends(`<iq type="get" to="${room}/romeo" id="${id}"><ping xmlns="urn:xmpp:ping"/></iq>`)
      return neighbours.command('selfPing', romeoJid)
    }
    romeo.sends(`<presence to="${room}/romeo"><x xmlns="${muc}"/></presence>`)
    const asked = await ask('ping1')
    const from = { name: '#verona', node: '#verona', resource: 'romeo' }
    assert.deepEqual([asked.resource, asked.stanzaId, asked.value.room], ['orchard', 'ping1', from])
    neighbours.tell(`${romeoJid}/orchard`, { $case: 'selfPingAnswered', value: { from, stanzaId: 'ping1' } })
    await romeo.receives(`<iq type="result" id="ping1" from="${room}/romeo"/>`)
    await ask('ping2')
    neighbours.tell(`${romeoJid}/orchard`, {
      $case: 'commandFailed',
      value: {
        stanza: CommandFailed_Stanza.STANZA_IQ,
        stanzaId: 'ping2',
        from,
        failure: { code: 'not-joined', text: 'You are not in that room.' },
        isGroupchat: false,
      },
    })
    const refused = await romeo.receives(`<iq type="error" id="ping2" from="${room}/romeo"/>`)
    assert.equal(conditionOf(refused), 'not-acceptable')
    for (const address of [jid, `${jid}/x`, room, `tybalt@${jid}`, `tybalt@${jid}/x`])
      assert.equal((await romeo.request('get', address, '<ping xmlns="urn:xmpp:ping"/>')).attrs.type, 'result', address)
    const stranger = await juliet.request('get', `${room}/juliet`, '<ping xmlns="urn:xmpp:ping"/>')
    assert.equal(conditionOf(stranger), 'not-acceptable')
  })

  test('the open requests of one user are no trouble of another', async () => {
    const mayTell = Promise.withResolvers<void>()
    neighbours.mayTell = mayTell.promise
    const count = 2_000
    let flood = ''
    for (let n = 0; n < count; n++) flood += `<iq type="get" to="${jid}" id="flood${n}"><query ${ns}/></iq>`
    romeo.sends(flood)
    const answers = (type: string) =>
      romeo.stanzas.filter(({ attrs }) => attrs.type === type && String(attrs.id).startsWith('flood'))
    await waitUntil(() => answers('error').length >= count - 64, { describe: () => `${answers('error').length}` })
    const asked = juliet.request('get', jid, `<query ${ns}/>`)
    assert.ok(await isAnswered(juliet))
    mayTell.resolve()
    assert.equal((await asked).attrs.type, 'result')
    await waitUntil(() => answers('result').length === 64, { describe: () => `${answers('result').length}` })
    assert.ok(answers('error').every(answer => conditionOf(answer) === 'resource-constraint'))
    assert.equal((await romeo.request('get', jid, `<query ${ns}/>`)).attrs.type, 'result')
  })

  test('who has no resource signs in, is spoken to at the bare address, and is signed out', async context => {
    const stanzas: Element[] = []
    const component = new Component({
      host: '127.0.0.1',
      port: prosody.componentPort,
      domain: bot.jid,
      secret: bot.secret,
      resource: 'barriers',
      log: { info: () => undefined, warn: () => undefined },
      onStanza: stanza => stanzas.push(stanza),
    })
    component.start()
    context.after(() => component.stop(0))
    const send = (name: string, attributes: Record<string, string>, ...children: Element[]) =>
      component.send({ stanzas: [String(xml(name, { from: bot.jid, ...attributes }, ...children))] })
    const received = (what: string, isIt: (stanza: Element) => boolean) =>
      waitUntil(() => stanzas.find(stanza => stanza.attrs.to === bot.jid && isIt(stanza)), {
        describe: () => `no ${what} in ${stanzas.join()}`,
      })
    neighbours.registered.set(bot.jid, { username: 'bot', password: '' })

    send('presence', { to: jid })
    const present = await neighbours.command('setPresence', bot.jid)
    assert.deepEqual([present.resource, present.value.show], ['', Show.SHOW_UNSPECIFIED])
    send('presence', { to: `${room}/bot`, id: 'j' }, xml('x', { xmlns: muc }))
    assert.equal((await neighbours.command('joinRoom', bot.jid)).resource, '')

    const inRoom = { name: '#verona', node: '#verona', resource: 'tybalt' }
    const say = (body: string, resources: string[]) =>
      neighbours.tell(
        bot.jid,
        { $case: 'messageReceived', value: MessageReceived.fromPartial({ from: inRoom, kind: 1, body }) },
        { resources },
      )
    say('to the one without a resource', [''])
    await received('message', stanza => stanza.getChildText('body') === 'to the one without a resource')
    say('to a resource as well', ['', 'x'])
    await received('message', stanza => stanza.getChildText('body') === 'to a resource as well')
    assert.ok(!stanzas.some(({ attrs }) => String(attrs.to).endsWith('/')))

    const error = xml(
      'error',
      { type: 'cancel' },
      xml('item-not-found', { xmlns: 'urn:ietf:params:xml:ns:xmpp-stanzas' }),
    )
    send('message', { to: `${room}/tybalt`, type: 'error' }, error)
    const gone = await neighbours.command('setPresence', bot.jid)
    assert.deepEqual([gone.resource, gone.value.show], ['', Show.SHOW_OFFLINE])
    send('presence', { to: jid, type: 'unavailable' })
    assert.equal((await neighbours.command('setPresence', bot.jid)).value.show, Show.SHOW_OFFLINE)
  })
})
