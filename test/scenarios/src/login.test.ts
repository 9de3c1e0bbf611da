import assert from 'node:assert/strict'
import { scenario, waitUntil, xml } from '@spectrum/stack'
import { goneFromIrc, isOnIrc, whois } from './irc-questions.ts'
import { errorOf, rosterPush } from './muc.ts'

scenario('presence logs in, and the last resource logs out', { isRegistered: false }, async scene => {
  const { romeo, irc, jid } = scene
  await romeo.registers()
  await romeo.logsIn()
  assert.ok(await isOnIrc(irc, romeo.nick))

  await romeo.sends(xml`<presence to="${jid}" type="unavailable"/>`)
  await romeo.receives(xml`<presence from="${jid}" type="unavailable"/>`)
  await goneFromIrc(irc, romeo.nick)
})

scenario('with several resources only the last one to leave logs out', async scene => {
  const { romeo, irc, jid, channel, at } = scene
  const balcony = channel('balcony')
  await irc.join(balcony)
  await romeo.joins(at(balcony))
  const phone = await romeo.connect('phone')
  await romeo.logsIn(phone)

  await romeo.sends(xml`<presence to="${jid}" type="unavailable"/>`)
  // The phone is in no room: the room goes with the resource that was in it, the connection stays.
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PART`))
  irc.say(romeo.nick, 'still there?')
  await phone.receives(xml`<message from="${at(irc.nick)}"><body>still there?</body></message>`)

  await irc.join(`${balcony}2`)
  await romeo.joins(at(`${balcony}2`), { client: phone })
  phone.sends(xml`<presence to="${jid}" type="unavailable"/>`)
  await goneFromIrc(irc, romeo.nick)
})

scenario('a client whose connection is lost logs out like one that says so', async scene => {
  const { romeo, irc, channel, at } = scene
  const balcony = channel('balcony')
  await irc.join(balcony)
  await romeo.joins(at(balcony))
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
  romeo.client.cut()
  await goneFromIrc(irc, romeo.nick)
})

scenario('after logging out one can log in again', async ({ romeo, irc, jid, channel, at }) => {
  const balcony = channel('balcony')
  await irc.join(balcony)
  for (let round = 0; round < 3; round++) {
    await romeo.joins(at(balcony))
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
    await romeo.sends(xml`<presence to="${jid}" type="unavailable"/>`)
    await goneFromIrc(irc, romeo.nick)
    await romeo.receives(xml`<presence from="${jid}" type="unavailable"/>`)
    await romeo.logsIn()
  }
})

scenario('whoever is not registered is told so', { isRegistered: false }, async ({ romeo, jid, channel, at }) => {
  await romeo.sends(xml`<presence to="${jid}"/>`)
  const answer = await romeo.receives(xml`<presence from="${jid}" type="error"/>`)
  assert.equal(errorOf(answer), 'auth/registration-required')

  const room = `${at(channel('balcony'))}/${romeo.nick}`
  await romeo.sends(xml`<presence to="${room}" id="j1"><x xmlns="http://jabber.org/protocol/muc"/></presence>`)
  const refused = await romeo.receives(xml`<presence from="${room}" id="j1" type="error"/>`)
  assert.equal(errorOf(refused), 'auth/registration-required')

  await romeo.sends(xml`<message to="${at('mercutio')}" id="m1" type="chat"><body>hello</body></message>`)
  const bounced = await romeo.receives(xml`<message from="${at('mercutio')}" id="m1" type="error"/>`)
  assert.equal(errorOf(bounced), 'auth/registration-required')

  // Whoever is registered needs only to sign in.
  await romeo.registers()
  await romeo.sends(xml`<message to="${at('mercutio')}" id="m2" type="chat"><body>hello</body></message>`)
  const early = await romeo.receives(xml`<message from="${at('mercutio')}" id="m2" type="error"/>`)
  assert.equal(errorOf(early), 'wait/recipient-unavailable')
})

scenario('a room join alone logs in', { isRegistered: false }, async ({ romeo, irc, channel, at }) => {
  await romeo.registers()
  const balcony = channel('balcony')
  await irc.join(balcony)
  await romeo.joins(at(balcony))
  await romeo.says(at(balcony), 'hello')
  await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG ${balcony} :hello$`))
})

scenario('the gateway answers subscription and probes of its own presence', async ({ romeo, jid }) => {
  await romeo.client.request('get', undefined, '<query xmlns="jabber:iq:roster"/>')
  await romeo.sends(xml`<presence to="${jid}" type="subscribe"/>`)
  await romeo.receives(rosterPush(jid, 'to'))
  romeo.client.forget()
  await romeo.sends(xml`<presence to="${jid}" type="probe"/>`)
  await romeo.receives(stanza => stanza.is('presence') && stanza.attrs.from === jid && stanza.attrs.type === undefined)
})

scenario('going away is shown on IRC, and coming back', async ({ romeo, irc, jid }) => {
  await romeo.sends(xml`<presence to="${jid}"><show>away</show><status>in Mantua</status></presence>`)
  const away = async () => (await whois(irc, romeo.nick)).find(line => / 301 /.test(line))
  await waitUntil(async () => (await away())?.endsWith(':in Mantua'))
  await romeo.sends(xml`<presence to="${jid}"/>`)
  await waitUntil(async () => (await away()) === undefined)
})

scenario('who lets the gateway see the presence logs in and out with it', { isRegistered: false }, async scene => {
  const { romeo, irc, jid } = scene
  await romeo.client.request('get', undefined, '<query xmlns="jabber:iq:roster"/>')
  await romeo.registers()
  // What a client does when its user agrees.
  await romeo.receives(xml`<presence from="${jid}" type="subscribe"/>`)
  await romeo.sends(xml`<presence to="${jid}" type="subscribed"/>`)
  const online = (stanza: { attrs: Record<string, string> }) =>
    stanza.attrs.from === jid && stanza.attrs.type === undefined
  await romeo.receives(stanza => stanza.is('presence') && online(stanza), { deadlineMs: 30_000 })
  assert.ok(await isOnIrc(irc, romeo.nick))

  await romeo.sends('<presence><show>away</show><status>asleep</status></presence>')
  await waitUntil(async () => (await whois(irc, romeo.nick)).some(line => line.endsWith(':asleep')))
  await romeo.sends('<presence type="unavailable"/>')
  await goneFromIrc(irc, romeo.nick)
  romeo.client.forget()
  await romeo.sends('<presence/>')
  await romeo.receives(stanza => stanza.is('presence') && online(stanza), { deadlineMs: 30_000 })
  assert.ok(await isOnIrc(irc, romeo.nick))
})

scenario(
  'with service.login_delay many who sign in at once come one after the other, and all of them come',
  { cfg: '[service]\nlogin_delay = 1', isAlone: true, timeoutMs: 180_000 },
  async ({ gateway, jid, person }) => {
    // More than come within the time that a login is tried when nobody answers.
    const crowd = await Promise.all(Array.from({ length: 26 }, (_, index) => person(`crowd${index}x`)))
    await Promise.all(crowd.map(each => each.registers()))
    for (const each of crowd) await each.sends(xml`<presence type="unavailable"/>`)
    const sessions = async () => {
      const counts = await Promise.all(gateway.workers.map(worker => worker.metric('spectrum_worker_sessions')))
      return counts.reduce((sum, count) => sum + count, 0)
    }
    await waitUntil(async () => (await sessions()) === 2, { deadlineMs: 90_000 })
    const begun = performance.now()
    const refused = () =>
      crowd.filter(({ client }) => client.stanzas.some(({ attrs }) => attrs.type === 'error')).length
    const logins = crowd.map(async each => {
      const from = each.client.stanzas.length
      await each.sends(xml`<presence to="${jid}"/>`)
      const isThere = () =>
        each.client.stanzas
          .slice(from)
          .some(({ attrs, name }) => name === 'presence' && attrs.from === jid && attrs.type === undefined)
      await waitUntil(isThere, { deadlineMs: 120_000, describe: () => `${refused()} were refused` })
    })
    await Promise.all(logins)
    assert.ok(performance.now() - begun >= 25_000 - 50)
    assert.equal(refused(), 0)
  },
)
