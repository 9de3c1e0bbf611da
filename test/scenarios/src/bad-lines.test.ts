import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import {
  type Gateway,
  type ProsodyServer,
  startProsody,
  TemporaryFolder,
  topologies,
  waitUntil,
  XmppClient,
  xml,
} from '@spectrum/stack'
import { component, startBetween } from './hostile-system.ts'
import { bareOf, messageOf, presenceOf, type Stanza } from './muc.ts'
import { RawIrcServer } from './raw-irc-server.ts'

const { jid, secret } = component
const room = `#verona@${jid}`

for (const topology of topologies())
  describe(`whatever an IRC network says, the stream to Prosody survives (${topology})`, () => {
    const resources = new AsyncDisposableStack()
    let irc: RawIrcServer
    let gateway: Gateway
    let prosody: ProsodyServer
    let romeo: XmppClient
    before(async () => {
      const folder = resources.use(await TemporaryFolder.create('bad-lines'))
      const users = [{ name: 'romeo', password: 'montague' }]
      prosody = resources.use(await startProsody({ component, users, conflictResolve: 'kick_old' }))
      irc = resources.use(await RawIrcServer.start())
      const ports = { xmppPort: prosody.componentPort, ircPort: irc.port }
      gateway = (await startBetween({ topology, ...ports, folder, resources })).gateway
      await gateway.ready()
      const { clientPort: port, domain } = prosody
      romeo = resources.use(await XmppClient.connect({ port, domain, name: 'romeo', password: 'montague' }))
      await romeo.request('set', jid, '<query xmlns="jabber:iq:register"><username>romeo</username></query>')
      romeo.sends(xml`<presence to="${room}/romeo">` + '<x xmlns="http://jabber.org/protocol/muc"/></presence>')
      await romeo.receives(presenceOf(`${room}/romeo`, { codes: ['110'] }), { deadlineMs: 30_000 })
    })
    after(() => resources.disposeAsync())

    let count = 0
    /** Says the lines and then an ordinary one; what came to the client before that one. */
    const said = async (...lines: (string | Buffer)[]): Promise<Stanza[]> => {
      const from = romeo.stanzas.length
      for (const line of lines) irc.says('romeo', line)
      const last = `ordinary ${++count}`
      irc.says('romeo', `:mercutio!u@h PRIVMSG #verona :${last}`)
      await romeo.receives(messageOf(`${room}/mercutio`, { body: last }), { deadlineMs: 30_000 })
      return romeo.stanzas.slice(from, -1)
    }
    const bodies = (stanzas: readonly Stanza[]) => stanzas.flatMap(stanza => stanza.getChildText('body') ?? [])
    const suppressed = async (reason: string) => {
      const values = await Promise.all(
        gateway.workers.map(process => process.metric('spectrum_dropped_total', { reason })),
      )
      return values.reduce((sum, value) => sum + value, 0)
    }

    test('control characters and what is no text', async () => {
      const prefix = ':mercutio!u@h PRIVMSG #verona :'
      assert.deepEqual(bodies(await said(`${prefix}a\u0003b`)), ['ab'])
      assert.deepEqual(bodies(await said(`${prefix}\u000304red\u0003 \u0002bold\u0002`)), ['red bold'])
      assert.deepEqual(bodies(await said(`${prefix}a\u0000b\u0007c\u001bd`)), ['abcd'])
      assert.deepEqual(bodies(await said(`${prefix}a\ufffeb\uffffc`)), ['abc'])
      assert.deepEqual(bodies(await said(`${prefix}]]> <body/> &amp; "'`)), [`]]> <body/> &amp; "'`])
      const latin = Buffer.concat([Buffer.from(prefix), Buffer.from('gr\u00fc\u00df dich', 'latin1')])
      assert.deepEqual(bodies(await said(latin)), ['grüß dich'])
      // Half a surrogate pair, as UTF-8 would never spell it.
      const [half] = bodies(await said(Buffer.concat([Buffer.from(`${prefix}x`), Buffer.from([0xed, 0xa0, 0x80])])))
      assert.match(half ?? '', /^x/)
      // Nothing but such characters says nothing, and that is counted.
      const before = await suppressed('empty-message')
      assert.deepEqual(bodies(await said(`${prefix}\u0003`, `${prefix}\u0000`, prefix)), [])
      assert.equal(await suppressed('empty-message'), before + 3)
    })

    test('a line of 600 KiB', async () => {
      const before = await suppressed('line-too-long')
      const long = await said(`:mercutio!u@h PRIVMSG #verona :${'x'.repeat(600 * 1024)}`)
      const text = bodies(long).join('')
      assert.match(text, /^x*$/)
      assert.equal(await suppressed('line-too-long'), before + 1)
    })

    test('names that are no names', async () => {
      const stanzas = await said(
        ':a b!u@h JOIN #verona',
        ':\u0003!u@h JOIN #verona',
        ':x@y!u@h PRIVMSG #verona :from x@y',
        ': PRIVMSG #verona :from nobody',
        ':<>&"\'!u@h JOIN #verona',
        ':<>&"\'!u@h PRIVMSG #verona :from a tag',
        ':\u202e\u2066evil!u@h JOIN #verona',
        ':mercutio!u@h NICK :',
        ':mercutio!u@h NICK :a b',
        ':mercutio!u@h KICK #verona',
        ':mercutio!u@h KICK #verona nobody :\u0003',
        ':raw.example 353 romeo = #verona :@ + @+ a!b!c \u0003',
        ':raw.example 332 romeo #verona',
        ':mercutio!u@h TOPIC #verona :\u0003\u0000topic\ufffe',
        ':mercutio!u@h MODE #verona +oooooooooo',
        ':mercutio!u@h JOIN :#elsewhere<>&"\'',
        'PING',
        ':raw.example 005',
        ':',
        '@',
        '@a=b;c',
        '\u0000\u0000\u0000',
        '001',
      )
      assert.ok(stanzas.every(stanza => stanza.getName() !== 'error'))
      const topic = stanzas.find(stanza => stanza.getChild('subject') !== undefined)
      assert.equal(topic?.getChildText('subject'), 'topic')
      const tag = stanzas.find(stanza => stanza.getChildText('body') === 'from a tag')
      assert.equal(tag?.attrs.from, `${room}/<>&"'`)
    })

    test('ten thousand lines at once', async () => {
      const from = romeo.stanzas.length
      const lines = Array.from({ length: 10_000 }, (_, index) => `:mercutio!u@h PRIVMSG #verona :flood ${index}`)
      irc.says('romeo', lines.join('\r\n'))
      const flood = () =>
        romeo.stanzas.slice(from).flatMap(stanza => {
          const body = bareOf(stanza.attrs.from) === room ? stanza.getChildText('body') : null
          return body?.startsWith('flood ') ? [Number(body.slice(6))] : []
        })
      await waitUntil(() => romeo.stanzas.length >= from + 10_000, {
        deadlineMs: 60_000,
        everyMs: 100,
        describe: () => `${flood().length} arrived`,
      })
      assert.deepEqual(flood(), [...Array(10_000).keys()])
    })

    test('in all that the component was connected once, and the client is still there', async () => {
      const connected = gateway.frontends.flatMap(({ log }) => log).filter(({ msg }) => msg === 'component connected')
      assert.equal(connected.length, 1)
      assert.equal(romeo.closed, undefined)
      assert.equal(secret.length > 0, true)
      romeo.sends(xml`<message to="${room}" type="groupchat"><body>still here</body></message>`)
      await irc.receives(/^PRIVMSG #verona :still here$/)
    })
  })
