import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { scenario, topologies, waitUntil, XmppClient, xml } from '@spectrum/stack'
import { type HostileSystem, startHostileSystem } from './hostile-system.ts'
import { errorOf, messageOf } from './muc.ts'

const deep = (levels: number) => `${'<a>'.repeat(levels)}${'</a>'.repeat(levels)}`
const droppedTotal = 'spectrum_dropped_total'

for (const topology of topologies())
  describe(`stanzas that no server should let pass (${topology})`, () => {
    let system: HostileSystem
    before(async () => {
      system = await startHostileSystem(topology)
    })
    after(() => system[Symbol.asyncDispose]())

    /** Whoever was online before goes on as if nothing had been. */
    const unharmed = async (user: { nick: string; sends: HostileSystem['xmpp']['sends'] | unknown }, text: string) => {
      const from = system.irc.lines.length
      await waitUntil(() => system.xmpp.isConnected, { deadlineMs: 60_000 })
      system.xmpp.sends(
        xml`<message from="${user.nick}@verona.example/tomb" to="mercutio@${system.jid}" type="chat"><body>${text}</body></message>`,
      )
      await system.irc.receives(new RegExp(`^PRIVMSG mercutio :${text}$`), { from })
    }

    test('deep ones are refused and counted', async () => {
      const user = await system.user('deep')
      const before = await system.metric('frontend', droppedTotal, { reason: 'too-deep' })
      user.sends('message', `to="mercutio@${system.jid}" id="deep" type="chat"`, `<body>x</body>${deep(200)}`)
      assert.equal(errorOf(await user.answer('deep')), 'modify/policy-violation')
      user.sends('iq', `to="${system.jid}" id="deepiq" type="get"`, deep(200))
      assert.equal(errorOf(await user.answer('deepiq')), 'modify/policy-violation')
      assert.equal(await system.metric('frontend', droppedTotal, { reason: 'too-deep' }), before + 2)
      await unharmed(user, 'after the deep')
    })

    for (const [what, bytes] of [
      ['300 KiB', 300 * 1024],
      ['10 MB', 10_000_000],
    ] as const)
      test(`one of ${what} is refused and counted`, async () => {
        const name = `large${bytes}`
        const user = await system.user(name)
        const before = await system.metric('frontend', droppedTotal, { reason: 'too-large' })
        const connections = system.xmpp.connections
        user.sends(
          'message',
          `to="mercutio@${system.jid}" id="${name}" type="chat"`,
          `<body>${'x'.repeat(bytes)}</body>`,
        )
        assert.equal(errorOf(await user.answer(name)), 'modify/policy-violation')
        assert.equal(await system.metric('frontend', droppedTotal, { reason: 'too-large' }), before + 1)
        assert.equal(system.xmpp.connections, connections)
        await unharmed(user, `after ${bytes}`)
      })

    test('a body that is no chat any more is refused by the network, not cut', async () => {
      const user = await system.user('lengthy')
      const from = system.irc.lines.length
      user.sends(
        'message',
        `to="mercutio@${system.jid}" id="lengthy" type="chat"`,
        `<body>${'word '.repeat(40_000)}</body>`,
      )
      assert.equal(errorOf(await user.answer('lengthy')), 'modify/policy-violation')
      assert.deepEqual(
        system.irc.lines.slice(from).filter(line => line.includes('word')),
        [],
      )
    })

    for (const [name, malformed] of [
      ['overlapping', '<a></b>'],
      ['nul', '<body>&#0;</body>'],
      ['declaration', '<body><!DOCTYPE x></body></a>'],
    ] as const)
      test(`what is no XML ends the stream, and only the stream: ${name}`, async () => {
        const user = await system.user(name)
        const room = `#malformed@${system.jid}`
        await user.joins(room)
        const { connections } = system.xmpp
        const before = await system.metric('frontend', 'spectrum_frontend_streams_lost_total')
        const from = system.irc.lines.length
        system.xmpp.sends(`<message from="${user.jid}" to="mercutio@${system.jid}">${malformed}</message>`)
        await waitUntil(() => system.xmpp.connections > connections && system.xmpp.isConnected, { deadlineMs: 60_000 })
        assert.ok((await system.metric('frontend', 'spectrum_frontend_streams_lost_total')) > before)
        await unharmed(user, `after ${name}`)
        assert.deepEqual(
          system.irc.lines.slice(from).filter(line => /^(PART|QUIT|JOIN|NICK)/.test(line)),
          [],
        )
      })

    test('addresses that cannot be are refused or counted', async () => {
      const user = await system.user('address')
      const bad = ['a&#x2028;b', 'a&#10;b', 'a b', 'a&quot;b', '&#x202E;x', 'x'.repeat(1024)]
      for (const [index, local] of bad.entries()) {
        user.sends('message', `to="${local}@${system.jid}" id="to${index}" type="chat"`, '<body>x</body>')
        assert.equal(errorOf(await user.answer(`to${index}`)), 'modify/jid-malformed', local)
      }
      user.sends(
        'presence',
        `to="#room@${system.jid}/a&#x2028;b" id="nick"`,
        '<x xmlns="http://jabber.org/protocol/muc"/>',
      )
      assert.equal(errorOf(await user.answer('nick')), 'modify/jid-malformed')

      const before = await system.metric('frontend', droppedTotal, { reason: 'sender-malformed' })
      for (const from of ['a b@verona.example/x', '@verona.example', 'a@b@c/&#10;', ''])
        system.xmpp.sends(`<message from="${from}" to="mercutio@${system.jid}"><body>x</body></message>`)
      system.xmpp.sends(`<message to="mercutio@${system.jid}"><body>x</body></message>`)
      await waitUntil(
        async () => (await system.metric('frontend', droppedTotal, { reason: 'sender-malformed' })) === before + 5,
      )
      await unharmed(user, 'after the addresses')
    })

    test('stanzas of all wrong kinds get their answer, and errors none', async () => {
      const user = await system.user('wrong')
      const errors: [string, string, string, string][] = [
        ['iq', `to="${system.jid}" type="get"`, '', 'modify/bad-request'],
        ['iq', `to="${system.jid}" type="get"`, '<a xmlns="x"/><b xmlns="x"/>', 'modify/bad-request'],
        ['iq', `to="${system.jid}" type="nonsense"`, '<a xmlns="x"/>', 'modify/bad-request'],
        ['presence', `to="${system.jid}" type="nonsense"`, '', 'cancel/service-unavailable'],
        [
          'message',
          `to="mercutio@${system.jid}"`,
          '<x xmlns="http://jabber.org/protocol/muc#user"/>',
          'cancel/service-unavailable',
        ],
      ]
      for (const [index, [kind, attributes, children, expected]] of errors.entries()) {
        user.sends(kind as 'iq', `${attributes} id="wrong${index}"`, children)
        assert.equal(errorOf(await user.answer(`wrong${index}`)), expected, `${kind} ${attributes} ${children}`)
      }
      const written = system.xmpp.stanzas.length
      for (const kind of ['message', 'presence', 'iq'] as const) {
        const error = '<error type="cancel"><bad-request xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>'
        user.sends(kind, `to="mercutio@${system.jid}" id="error-${kind}" type="error"`, error)
      }
      user.sends('iq', `to="${system.jid}" id="result" type="result"`)
      system.xmpp.sends('<unknown xmlns="urn:example:unknown"/>')
      await unharmed(user, 'after the wrong')
      const answers = system.xmpp.stanzas.slice(written).map(String)
      assert.deepEqual(answers, [])
    })

    test('the gateway never wrote what is no XML', () => {
      assert.deepEqual(system.xmpp.unreadable, [])
    })
  })

scenario(
  'what Prosody lets through or stops harms only who sent it',
  async ({ romeo, juliet, stack, irc, at, channel }) => {
    const balcony = channel('balcony')
    const room = at(balcony)
    await irc.join(balcony)
    await juliet.joins(room)

    await romeo.sends(`<message to="${at(irc.nick)}" id="deep" type="chat"><body>x</body>${deep(200)}</message>`)
    assert.equal(
      errorOf(await romeo.receives(messageOf(at(irc.nick), { type: 'error', id: 'deep' }))),
      'modify/policy-violation',
    )

    const { prosody } = stack
    const connect = async () => {
      const name = romeo.name
      const { clientPort: port, domain } = prosody
      return XmppClient.connect({ port, domain, name, password: `${name}-password` })
    }
    for (const hostile of [
      `<message to="${at(irc.nick)}"><a></b></message>`,
      `<message to="${at(irc.nick)}"><body>\u0000</body></message>`,
      `<message to="${at(irc.nick)}"><body>${'x'.repeat(10_000_000)}</body></message>`,
    ]) {
      await using client = await connect()
      client.sends(hostile)
      await waitUntil(() => client.closed !== undefined, { deadlineMs: 30_000 })
    }
    await juliet.says(room, 'unharmed')
    await irc.waitFor(/ PRIVMSG \S+ :unharmed$/)
  },
)
