import assert from 'node:assert/strict'
import { type Person, scenario, xml } from '@spectrum/stack'
import { errorOf, messageOf } from './muc.ts'

const muc = 'http://jabber.org/protocol/muc'

/** Sends a stanza with an id of its own and waits for the error that has the same. */
async function refusal(person: Person, name: 'presence' | 'message', to: string, children: string, type?: string) {
  const id = `a${Math.random().toString(36).slice(2)}`
  const attrs = xml`to="${to}" id="${id}" type="${type ?? ''}"`.replace(' type=""', '')
  await person.sends(`<${name} ${attrs}>${children}</${name}>`)
  return person.receives(stanza => stanza.is(name) && stanza.attrs.id === id && stanza.attrs.type === 'error', {
    deadlineMs: 30_000,
  })
}

scenario('entering what is no room is refused at once', async ({ romeo, jid, at }) => {
  for (const room of [at('verona'), at('verona%irc.example.org'), jid]) {
    const error = await refusal(romeo, 'presence', `${room}/nurse`, `<x xmlns="${muc}"/>`)
    assert.equal(errorOf(error), 'cancel/item-not-found', String(error))
    assert.match(error.getChild('error')?.getChildText('text') ?? '', /IRC channels begin with #/)
  }
})

scenario('a line or subject for what is no room is refused', async ({ romeo, jid, at }) => {
  for (const children of ['<body>hello?</body>', '<subject>hello?</subject>'])
    for (const room of [at('verona'), at('#two\\20words'), jid]) {
      const error = await refusal(romeo, 'message', room, children, 'groupchat')
      assert.equal(error.attrs.from, room)
    }
})

scenario('a subject that is set again to what it is comes back', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('balcony')
  await irc.join(balcony)
  await romeo.joins(at(balcony))
  for (const _ of [1, 2]) {
    const from = romeo.client.stanzas.length
    await romeo.sends(xml`<message to="${at(balcony)}" type="groupchat"><subject>soft light</subject></message>`)
    const told = messageOf(`${at(balcony)}/${romeo.nick}`, { type: 'groupchat', subject: 'soft light' })
    await romeo.receives(stanza => romeo.client.stanzas.indexOf(stanza) >= from && told(stanza))
  }
})

scenario('every probe is answered: whoever is not to be found is unavailable', async ({ romeo, person, jid, at }) => {
  const stranger = await person('stranger')
  for (const [asker, name] of [
    [romeo, 'nobody'],
    [romeo, '#two\\20words'],
    [romeo, 'a,b'],
    [stranger, 'nobody'],
  ] as const) {
    await asker.sends(xml`<presence to="${at(name)}" type="probe"/>`)
    await asker.receives(xml`<presence from="${at(name)}" type="unavailable"/>`)
  }
  await stranger.sends(xml`<presence to="${jid}" type="probe"/>`)
  await stranger.receives(xml`<presence from="${jid}" type="unavailable"/>`)
})

scenario('who is not registered is told so, whatever they send', async ({ person, irc, channel, at }) => {
  const stranger = await person('stranger')
  const balcony = at(channel('balcony'))
  const answers = [
    await refusal(stranger, 'presence', `${balcony}/stranger`, `<x xmlns="${muc}"/>`),
    await refusal(stranger, 'presence', `${balcony}/stranger`, ''),
    await refusal(stranger, 'message', at(irc.nick), '<body>hello?</body>', 'chat'),
    await refusal(stranger, 'message', balcony, '<body>hello?</body>', 'groupchat'),
    await refusal(stranger, 'message', balcony, '<subject>hello?</subject>', 'groupchat'),
  ]
  for (const error of answers) {
    assert.equal(errorOf(error), 'auth/registration-required', String(error))
    assert.equal(error.getChild('error')?.getChildText('text'), 'Please register with this gateway first.')
  }
})
