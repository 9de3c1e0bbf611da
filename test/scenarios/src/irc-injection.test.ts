import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { topologies, waitUntil, xml } from '@spectrum/stack'
import { type HostileSystem, type HostileUser, startHostileSystem } from './hostile-system.ts'
import { errorOf } from './muc.ts'

/** What a hostile text smuggles in: as a command at the start of a line, or as a parameter of its own. */
const smuggled = 'INJECTED'
/** Line ends as XML may spell them, and what others take for one; NUL is no XML, and the reader drops it. */
const breaks = ['&#13;&#10;', '&#10;', '&#13;', '\r\n', '\n', '\u0000', '\u2028', '\u0085']
const lineEnds = breaks.slice(0, 5)
const muc = '<x xmlns="http://jabber.org/protocol/muc"/>'

/** Lines in which the smuggled word stands anywhere but in the text that a line ends with. */
function injected(lines: readonly string[]): string[] {
  return lines.filter(line => {
    const text = line.indexOf(' :')
    const words = (text < 0 ? line : line.slice(0, text)).split(' ')
    return words.some(word => word.toUpperCase() === smuggled) || line.includes('\u0000')
  })
}

const commands = /^(CAP|NICK|USER|PASS|JOIN|PART|PRIVMSG|NOTICE|TOPIC|MODE|WHO|WHOIS|NAMES|AWAY|PING|PONG|QUIT)( |$)/

for (const topology of topologies())
  describe(`no text of a user becomes a command on IRC (${topology})`, () => {
    let system: HostileSystem
    let romeo: HostileUser
    let room: string
    let ids = 0
    before(async () => {
      system = await startHostileSystem(topology)
      romeo = await system.user('romeo')
      room = `#verona@${system.jid}`
      await romeo.joins(room)
    })
    after(() => system[Symbol.asyncDispose]())

    /** Sends it and waits until it must have had its effect: an error for it, or that what came after it has reached IRC. */
    const outcome = async (kind: 'message' | 'presence' | 'iq', attributes: string, children = ''): Promise<string> => {
      const id = `i${++ids}`
      const from = system.irc.lines.length
      romeo.sends(kind, `id="${id}" ${attributes}`, children)
      romeo.sends('message', `to="mercutio@${system.jid}" type="chat"`, `<body>after ${id}</body>`)
      await system.irc.receives(new RegExp(`^PRIVMSG mercutio :after ${id}$`), { from, deadlineMs: 30_000 })
      const lines = system.irc.lines.slice(from)
      // Answers to one user keep their order, so one that is certain to come shows that an error for it would be here.
      romeo.sends('message', `id="${id}-end" to="x\\20y@${system.jid}" type="chat"`, '<body>x</body>')
      await romeo.answer(`${id}-end`)
      assert.deepEqual(injected(lines), [], `${kind} ${attributes} ${children}`)
      assert.deepEqual(
        lines.filter(line => !commands.test(line)),
        [],
        `${kind} ${attributes} ${children}`,
      )
      const refusal = system.xmpp.stanzas.find(({ attrs }) => attrs.id === id && attrs.type === 'error')
      return refusal === undefined ? `sent ${lines.length - 1}` : errorOf(refusal)
    }
    const refused = async (expected: string, ...stanza: Parameters<typeof outcome>) =>
      assert.equal(await outcome(...stanza), expected, JSON.stringify(stanza))

    test('by the name of a room', async () => {
      for (const end of lineEnds) {
        const to = `to="#a${end}${smuggled} x@${system.jid}/romeo"`
        await refused('modify/jid-malformed', 'presence', to, muc)
        await refused(
          'modify/jid-malformed',
          'message',
          `type="groupchat" ${to.replace('/romeo', '')}`,
          '<body>x</body>',
        )
      }
      // XEP-0106 gives a space, and nothing else that IRC would stumble over.
      for (const name of [
        `#a\\20${smuggled}`,
        `#a,${smuggled}`,
        `#a\\20${smuggled}\\20:x`,
        `#a,0`,
        `#a\u00a0${smuggled}`,
      ])
        await refused('modify/jid-malformed', 'presence', `to="${name}@${system.jid}/romeo"`, muc)
      // What looks like the escape of a line end is a name like any other.
      const literal = await outcome('presence', `to="#a\\0d\\0a${smuggled}@${system.jid}/romeo"`, muc)
      assert.match(literal, /^sent/)
      assert.ok(system.irc.lines.some(line => line.toLowerCase() === `join #a\\0d\\0a${smuggled}`.toLowerCase()))
    })

    test('by a nick', async () => {
      for (const end of lineEnds) {
        await refused('modify/jid-malformed', 'presence', `to="${room}/x${end}${smuggled}"`)
        await refused('modify/jid-malformed', 'presence', `to="#new@${system.jid}/x${end}${smuggled} y"`, muc)
        await refused(
          'modify/jid-malformed',
          'message',
          `to="${room}/x${end}${smuggled}" type="chat"`,
          '<body>x</body>',
        )
      }
      await refused('modify/not-acceptable', 'presence', `to="${room}/x ${smuggled}"`)
      await refused('modify/not-acceptable', 'presence', `to="${room}/:${smuggled}"`)
      await refused('cancel/item-not-found', 'message', `to="${room}/x ${smuggled}" type="chat"`, '<body>x</body>')
      await refused('cancel/item-not-found', 'message', `to="${room}/x,mercutio" type="chat"`, '<body>x</body>')
      assert.ok(system.irc.isConnected('romeo'))
    })

    test('by the name of a contact', async () => {
      for (const end of lineEnds)
        await refused(
          'modify/jid-malformed',
          'message',
          `to="x${end}${smuggled}@${system.jid}" type="chat"`,
          '<body>x</body>',
        )
      for (const name of [
        `x\\20${smuggled}`,
        'x,mercutio',
        '\\3a#verona',
        '#verona,x',
        '$*',
        '@#verona'.replace('@', '\\40'),
      ])
        await refused('modify/jid-malformed', 'message', `to="${name}@${system.jid}" type="chat"`, '<body>x</body>')
    })

    test('by the key of a room', async () => {
      for (const [index, key] of [
        ...lineEnds.map(end => `x${end}${smuggled}`),
        `x ${smuggled}`,
        `:x ${smuggled}`,
        'x,y',
      ].entries()) {
        const password = `<x xmlns="http://jabber.org/protocol/muc"><password>${key}</password></x>`
        const what = await outcome('presence', `to="#key${index}@${system.jid}/romeo"`, password)
        assert.match(what, /^modify\/|^auth\/|^sent/)
        const join = system.irc.lines.find(line => line.toLowerCase().startsWith(`join #key${index}`))
        assert.equal(join, undefined, `${JSON.stringify(key)} became ${join}`)
      }
    })

    test('by what is said, or set as subject', async () => {
      for (const end of breaks) {
        const text = `x${end}${smuggled} #verona :y`
        assert.match(await outcome('message', `to="${room}" type="groupchat"`, `<body>${text}</body>`), /^sent [12]$/)
        assert.match(
          await outcome('message', `to="mercutio@${system.jid}" type="chat"`, `<body>${text}</body>`),
          /^sent [12]$/,
        )
        assert.match(
          await outcome('message', `to="${room}/mercutio" type="chat"`, `<body>${text}</body>`),
          /^sent [12]$/,
        )
        assert.match(
          await outcome('message', `to="${room}" type="groupchat"`, `<body>/me ${text}</body>`),
          /^sent [12]$/,
        )
        await outcome('message', `to="${room}" type="groupchat"`, `<subject>${text}</subject>`)
      }
      // Nobody sends commands to other clients through a message.
      const from = system.irc.lines.length
      await outcome('message', `to="${room}/mercutio" type="chat"`, '<body>\u0001VERSION\u0001</body>')
      assert.equal(
        system.irc.lines.slice(from).some(line => line.includes('\u0001')),
        false,
      )
    })

    test('by a status, when going away, leaving or logging out', async () => {
      for (const end of breaks) {
        const status = `<status>x${end}${smuggled} y</status>`
        await outcome('presence', `to="${system.jid}"`, `<show>away</show>${status}`)
        await outcome('presence', `to="#garden@${system.jid}/romeo"`, muc)
        await outcome('presence', `to="#garden@${system.jid}/romeo" type="unavailable"`, status)
      }
      const tybalt = await system.user('tybalt')
      await tybalt.joins(room)
      const from = system.irc.lines.length
      tybalt.sends('presence', `to="${system.jid}" type="unavailable"`, `<status>x&#13;&#10;${smuggled} y</status>`)
      await system.irc.receives(/^QUIT/, { from })
      assert.deepEqual(injected(system.irc.lines.slice(from)), [])
    })

    test('by the name or password of a registration', async () => {
      const { jid, xmpp, irc } = system
      for (const end of lineEnds)
        for (const [username, password] of [
          [`x${end}${smuggled}`, ''],
          ['benvolio', `x${end}${smuggled}`],
        ] as const) {
          const id = `r${++ids}`
          const fields = `<username>${username}</username><password>${password}</password>`
          romeo.sends('iq', `id="${id}" type="set" to="${jid}"`, `<query xmlns="jabber:iq:register">${fields}</query>`)
          const answer = await xmpp.receives(stanza => stanza.attrs.id === id)
          assert.equal(answer.attrs.type, 'error', JSON.stringify([username, password]))
        }
      for (const name of [`x ${smuggled}`, `:${smuggled}`, `x!y@z`, '#verona', `x,${smuggled}`]) {
        const answer = await romeo.asks(
          'set',
          jid,
          xml`<query xmlns="jabber:iq:register"><username>${name}</username></query>`,
        )
        assert.equal(errorOf(answer), 'modify/not-acceptable', name)
      }
      assert.deepEqual(injected(irc.lines), [])
      assert.ok(irc.isConnected('romeo'))
    })

    test('by nothing that was sent in this file', async () => {
      assert.deepEqual(injected(system.irc.lines), [])
      assert.deepEqual(
        system.irc.lines.filter(line => !commands.test(line)),
        [],
      )
      // Refusals are counted.
      const errors = await system.metric('worker', 'spectrum_worker_commands_total', { result: 'bad-address' })
      assert.ok(errors > 0)
      const answered = await system.metric('frontend', 'spectrum_frontend_errors_answered_total')
      assert.ok(answered > 0)
      await waitUntil(() => system.irc.isConnected('romeo'))
    })
  })
