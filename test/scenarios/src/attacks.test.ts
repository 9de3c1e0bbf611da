import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { scenario, topologies } from '@spectrum/stack'
import { type HostileSystem, startHostileSystem } from './hostile-system.ts'
import { errorOf } from './muc.ts'

const muc = '<x xmlns="http://jabber.org/protocol/muc"/>'
const ping = '<ping xmlns="urn:xmpp:ping"/>'

scenario(
  'a stanza whose answer would be too large for the server costs nobody the stream',
  { isAlone: true },
  async ({ romeo, juliet, irc, jid, at, channel, gateway }) => {
    const room = at(channel('balcony'))
    await irc.join(channel('balcony'))
    await juliet.joins(room)
    await romeo.joins(room)
    const sum = async (name: string, labels?: Record<string, string>) => {
      const values = await Promise.all(gateway.frontends.map(frontend => frontend.metric(name, labels)))
      return values.reduce((all, value) => all + value, 0)
    }
    // Each apostrophe takes six bytes when it is written.
    const long = "'".repeat(200_000)
    romeo.client.sends(`<iq type="get" to="${jid}" id="${long}">${ping}</iq>`)
    romeo.client.sends(`<iq type="get" to="${jid}" id="${long}"><query xmlns="jabber:iq:register"/></iq>`)
    romeo.client.sends(`<message type="groupchat" to="${room}" id="${long}"><body>unheard</body></message>`)
    const refused = await romeo.receives(stanza => stanza.attrs.type === 'error' && stanza.attrs.from === room)
    assert.deepEqual([errorOf(refused), refused.attrs.id], ['modify/policy-violation', undefined])
    await juliet.says(room, 'unharmed')
    await irc.waitFor(/ PRIVMSG \S+ :unharmed$/)
    assert.ok(!irc.hasSeen(/unheard/))
    assert.equal(await sum('spectrum_frontend_streams_lost_total'), 0)
    assert.equal(await sum('spectrum_dropped_total', { reason: 'id-too-long' }), 3)
  },
)

scenario(
  'a request to a room to unregister changes nothing at the gateway',
  async ({ romeo, irc, jid, at, channel }) => {
    const room = at(channel('balcony'))
    await irc.join(channel('balcony'))
    await romeo.joins(room)
    const query = (children: string) => `<query xmlns="jabber:iq:register">${children}</query>`
    for (const to of [room, `${room}/${irc.nick}`, at(irc.nick)])
      assert.equal(errorOf(await romeo.client.request('set', to, query('<remove/>'))), 'cancel/feature-not-implemented')
    const answer = await romeo.client.request('get', jid, query(''))
    assert.ok(answer.getChild('query')?.getChild('registered'), String(answer))
    await romeo.says(room, 'still here')
    await irc.waitFor(/ PRIVMSG \S+ :still here$/)
  },
)

scenario('XEP-0410: only who is in a room is told so', async ({ romeo, irc, at, channel }) => {
  const room = at(channel('balcony'))
  await irc.join(channel('balcony'))
  await romeo.joins(room)
  const phone = await romeo.connect('phone')
  const own = `${room}/${romeo.nick}`
  assert.equal((await romeo.client.request('get', own, ping)).attrs.type, 'result')
  assert.equal(errorOf(await phone.request('get', own, ping)), 'modify/not-acceptable')
  const nowhere = `${at(channel('nowhere'))}/${romeo.nick}`
  assert.equal(errorOf(await romeo.client.request('get', nowhere, ping)), 'modify/not-acceptable')
  romeo.client.sends(`<presence type="unavailable" to="${own}"/>`)
  assert.equal(errorOf(await romeo.client.request('get', own, ping)), 'modify/not-acceptable')
})

for (const topology of topologies())
  describe(`senders of odd kinds (${topology})`, () => {
    let system: HostileSystem
    before(async () => {
      system = await startHostileSystem(topology)
    })
    after(() => system[Symbol.asyncDispose]())

    for (const [who, nick] of [
      ['bot.verona.example', 'botty'],
      ['bridge@verona.example', 'bridge'],
    ] as const)
      test(`${who}, without a resource, registers, joins, speaks and leaves`, async () => {
        const { xmpp, irc, jid } = system
        const room = `#${nick}@${jid}`
        const send = (name: string, attributes: string, children: string) =>
          xmpp.sends(`<${name} from="${who}" ${attributes}>${children}</${name}>`)
        send(
          'iq',
          `type="set" id="${nick}" to="${jid}"`,
          `<query xmlns="jabber:iq:register"><username>${nick}</username></query>`,
        )
        assert.equal((await xmpp.receives(stanza => stanza.attrs.id === nick)).attrs.type, 'result')
        send('presence', `to="${room}/${nick}" id="join-${nick}"`, muc)
        const self = await xmpp.receives(stanza => stanza.attrs.id === `join-${nick}`, { deadlineMs: 30_000 })
        assert.deepEqual([self.attrs.to, self.attrs.type], [who, undefined])
        const from = irc.lines.length
        send('message', `to="${room}" type="groupchat" id="say-${nick}"`, '<body>beep</body>')
        const reflected = await xmpp.receives(stanza => stanza.attrs.id === `say-${nick}`)
        assert.deepEqual([reflected.attrs.to, reflected.attrs.type], [who, 'groupchat'])
        await irc.receives(new RegExp(`^PRIVMSG #${nick} :beep$`), { from })
        send('presence', `to="${room}/${nick}" type="unavailable"`, '')
        const left = await xmpp.receives(
          stanza =>
            stanza.is('presence') && stanza.attrs.type === 'unavailable' && stanza.attrs.from === `${room}/${nick}`,
        )
        assert.equal(left.attrs.to, who)
        assert.deepEqual(xmpp.stanzas.filter(({ attrs }) => String(attrs.to).endsWith('/')).map(String), [])
      })
  })
