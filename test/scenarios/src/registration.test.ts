import assert from 'node:assert/strict'
import { type Person, scenario, waitUntil, xml } from '@spectrum/stack'
import { goneFromIrc } from './irc-questions.ts'
import { errorOf, presenceOf, type Stanza } from './muc.ts'
import { rowsWith } from './stored-rows.ts'

const xmlns = 'jabber:iq:register'
const dataForms = 'jabber:x:data'

const ask = (person: Person, jid: string) => person.client.request('get', jid, `<query xmlns="${xmlns}"/>`)
const fill = (person: Person, jid: string, payload: string) =>
  person.client.request('set', jid, `<query xmlns="${xmlns}">${payload}</query>`)

/** A submitted form (XEP-0004) with these fields. */
function form(fields: Record<string, string>, type = 'submit'): string {
  const list = Object.entries(fields).map(([name, value]) => xml`<field var="${name}"><value>${value}</value></field>`)
  return `<x xmlns="${dataForms}" type="${type}">${list.join('')}</x>`
}

function fieldOf(answer: Stanza, name: string): Stanza | undefined {
  const fields = answer.getChild('query', xmlns)?.getChild('x', dataForms)?.getChildren('field') ?? []
  return fields.find(({ attrs }) => attrs.var === name)
}

scenario('the form asks for what Spectrum 2 asked for', { isRegistered: false }, async ({ romeo, jid }) => {
  const answer = await ask(romeo, jid)
  assert.equal(answer.attrs.type, 'result', String(answer))
  const query = answer.getChild('query', xmlns)
  assert.ok(query)
  assert.equal(query.getChildText('instructions'), 'Enter your legacy network username and password.')
  assert.equal(query.getChildText('username'), '')
  assert.equal(query.getChild('registered'), undefined)
  const data = query.getChild('x', dataForms)
  assert.equal(data?.attrs.type, 'form')
  assert.equal(data?.getChildText('title'), 'Registration')
  assert.equal(fieldOf(answer, 'FORM_TYPE')?.attrs.type, 'hidden')
  assert.equal(fieldOf(answer, 'FORM_TYPE')?.getChildText('value'), xmlns)
  assert.equal(fieldOf(answer, 'username')?.attrs.type, 'text-single')
  assert.ok(fieldOf(answer, 'username')?.getChild('required'))
  assert.equal(fieldOf(answer, 'language')?.attrs.type, 'list-single')
  assert.equal(fieldOf(answer, 'language')?.getChildren('option').length, 1)
  // IRC needs no password, but its nick services take one.
  assert.equal(fieldOf(answer, 'password')?.attrs.type, 'text-private')
  assert.equal(fieldOf(answer, 'password')?.getChild('required'), undefined)
  assert.equal(query.getChildText('password'), '')
  // Nobody is registered who could unregister.
  for (const absent of ['unregister', 'local_username']) assert.equal(fieldOf(answer, absent), undefined)
})

scenario('somebody who is registered finds the name filled in', { isRegistered: false }, async ({ romeo, jid }) => {
  await romeo.registers()
  const answer = await ask(romeo, jid)
  const query = answer.getChild('query', xmlns)
  assert.ok(query?.getChild('registered'), String(answer))
  assert.equal(query?.getChildText('username'), romeo.nick)
  assert.equal(fieldOf(answer, 'username')?.getChildText('value'), romeo.nick)
  assert.equal(fieldOf(answer, 'unregister')?.attrs.type, 'boolean')
  // A password never comes back.
  assert.equal(fieldOf(answer, 'password')?.getChildText('value') ?? '', '')
})

scenario(
  'registering by the form asks for the presence of the new user',
  { isRegistered: false },
  async ({ romeo, jid, stack }) => {
    const answer = await fill(romeo, jid, form({ FORM_TYPE: xmlns, username: romeo.nick, language: 'en' }))
    assert.equal(answer.attrs.type, 'result', String(answer))
    await romeo.receives(xml`<presence from="${jid}" type="subscribe"/>`)
    const rows = await rowsWith(stack, romeo.bareJid)
    assert.ok(rows.some(row => row.includes(romeo.nick)))
    await romeo.logsIn()
  },
)

scenario(
  'registering again changes the name, on the network too',
  async ({ romeo, juliet, irc, jid, channel, at, stack }) => {
    const balcony = channel('balcony')
    await irc.join(balcony)
    await romeo.joins(at(balcony))
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
    const name = `${romeo.nick}b`
    const answer = await fill(romeo, jid, xml`<username>${name}</username>`)
    assert.equal(answer.attrs.type, 'result', String(answer))
    assert.equal((await ask(romeo, jid)).getChild('query', xmlns)?.getChildText('username'), name)
    assert.equal((await rowsWith(stack, romeo.bareJid)).filter(row => row.includes('"username"')).length, 1)
    // Nobody else is touched.
    assert.equal((await ask(juliet, jid)).getChild('query', xmlns)?.getChildText('username'), juliet.nick)
  },
)

scenario('what cannot be a registration is refused, each by its reason', { isRegistered: false }, async scene => {
  const { romeo, juliet, jid, stack } = scene
  await juliet.registers()
  const refused: [string, string, string][] = [
    ['nothing at all', '', 'modify/not-acceptable'],
    ['an empty name', '<username/>', 'modify/not-acceptable'],
    ['a name of spaces', '<username>   </username>', 'modify/not-acceptable'],
    ['an empty form', form({}), 'modify/not-acceptable'],
    ['a form without a name', form({ FORM_TYPE: xmlns, language: 'en' }), 'modify/not-acceptable'],
    ['a form of foreign fields', form({ 'muc#roomconfig_roomname': 'x' }), 'modify/not-acceptable'],
    [
      'another form altogether',
      form({ FORM_TYPE: 'http://jabber.org/protocol/muc#roomconfig', username: 'x' }),
      'modify/bad-request',
    ],
    ['the own address', xml`<username>${romeo.bareJid}</username>`, 'modify/not-acceptable'],
    ['a taken name', xml`<username>${juliet.nick}</username>`, 'modify/not-acceptable'],
    ['a name that IRC cannot have', '<username>ro meo</username>', 'modify/not-acceptable'],
    ['a line end in the name', '<username>romeo&#10;QUIT</username>', 'modify/not-acceptable'],
    [
      'a line end in the password',
      '<username>romeo</username><password>x&#13;&#10;QUIT</password>',
      'modify/not-acceptable',
    ],
  ]
  for (const [what, payload, expected] of refused) {
    const answer = await fill(romeo, jid, payload)
    assert.equal(answer.attrs.type, 'error', `${what}: ${answer}`)
    assert.equal(errorOf(answer), expected, `${what}: ${answer}`)
  }
  assert.deepEqual(await rowsWith(stack, romeo.bareJid), [])
  const isRegistered = (await ask(romeo, jid)).getChild('query', xmlns)?.getChild('registered') !== undefined
  assert.equal(isRegistered, false)
})

scenario('a cancelled form changes nothing', { isRegistered: false }, async ({ romeo, jid, stack }) => {
  const answer = await fill(romeo, jid, form({ username: romeo.nick }, 'cancel'))
  assert.equal(answer.attrs.type, 'result')
  assert.deepEqual(await rowsWith(stack, romeo.bareJid), [])
})

scenario('fields that nobody asked for are passed over', { isRegistered: false }, async ({ romeo, jid }) => {
  const answer = await fill(romeo, jid, xml`<username>${romeo.nick}</username><email>romeo@example.org</email><misc/>`)
  assert.equal(answer.attrs.type, 'result', String(answer))
})

const farewells: readonly [string, string][] = [
  ['<remove/>', '<remove/>'],
  ['the form', form({ FORM_TYPE: xmlns, unregister: '1' })],
]
for (const [how, payload] of farewells)
  scenario(
    `unregistering by ${how} logs out and leaves no row`,
    async ({ romeo, juliet, irc, jid, channel, at, stack }) => {
      const balcony = channel('balcony')
      await irc.join(balcony)
      await romeo.joins(at(balcony))
      await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`))
      assert.notDeepEqual(await rowsWith(stack, romeo.bareJid), [])

      const answer = await fill(romeo, jid, payload)
      assert.equal(answer.attrs.type, 'result', String(answer))
      await goneFromIrc(irc, romeo.nick)
      await romeo.receives(presenceOf(`${at(balcony)}/${romeo.nick}`, { type: 'unavailable', codes: ['110'] }))
      await romeo.receives(xml`<presence from="${jid}" type="unavailable"/>`)
      assert.deepEqual(await rowsWith(stack, romeo.bareJid), [])
      assert.notDeepEqual(await rowsWith(stack, juliet.bareJid), [])
      await waitUntil(
        async () => (await ask(romeo, jid)).getChild('query', xmlns)?.getChild('registered') === undefined,
      )
    },
  )

scenario('who is not registered cannot unregister', { isRegistered: false }, async ({ romeo, jid }) => {
  const answer = await fill(romeo, jid, '<remove/>')
  assert.equal(answer.attrs.type, 'error')
  assert.equal(errorOf(answer), 'auth/registration-required')
})

scenario('registration is with the gateway, not with its contacts', { isRegistered: false }, async ({ romeo, at }) => {
  const answer = await fill(romeo, at('mercutio'), xml`<username>${romeo.nick}</username>`)
  assert.equal(answer.attrs.type, 'error')
  assert.equal(errorOf(answer), 'cancel/feature-not-implemented')
})
