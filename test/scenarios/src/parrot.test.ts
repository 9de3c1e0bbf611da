import assert from 'node:assert/strict'
import { scenario, waitUntil, xml } from '@spectrum/stack'
import { codesOf, errorOf, messageOf, presenceOf, resourceOf, toldOf } from './muc.ts'

const parrot = { network: 'parrot' } as const

scenario('a parrot repeats what one says, and confirms that it came', parrot, async ({ romeo, at }) => {
  const message = xml`<message to="${at('polly')}" type="chat" id="p1">`
  await romeo.sends(`${message}<body>hello</body><request xmlns="urn:xmpp:receipts"/></message>`)
  await romeo.receives(messageOf(at('polly'), { type: 'chat', body: 'hello' }))
  const receipt = await romeo.receives(stanza => stanza.getChild('received', 'urn:xmpp:receipts') !== undefined)
  assert.equal(receipt.attrs.from, at('polly'))
  assert.equal(receipt.getChild('received', 'urn:xmpp:receipts')?.attrs.id, 'p1')
})

scenario('two people of the same network talk', parrot, async ({ romeo, juliet, at }) => {
  await romeo.sends(xml`<message to="${at(juliet.nick)}" type="chat"><body>Juliet?</body></message>`)
  await juliet.receives(messageOf(at(romeo.nick), { type: 'chat', body: 'Juliet?' }))
  await juliet.sends(xml`<message to="${at(romeo.nick)}" type="chat"><body>Romeo!</body></message>`)
  await romeo.receives(messageOf(at(juliet.nick), { type: 'chat', body: 'Romeo!' }))
})

scenario('a room with a parrot in it', parrot, async ({ romeo, juliet, at }) => {
  const room = at('flock')
  await romeo.joins(room)
  const told = toldOf(romeo.client, room)
  const self = told.findIndex(stanza => codesOf(stanza).includes('110'))
  assert.ok(self > 0, told.join('\n'))
  assert.equal(resourceOf(told[self]?.attrs.from), romeo.nick)
  await juliet.joins(room)
  await romeo.receives(presenceOf(`${room}/${juliet.nick}`))
  const id = await romeo.says(room, 'birds of a feather')
  await romeo.receives(messageOf(`${room}/${romeo.nick}`, { id }))
  await juliet.receives(messageOf(`${room}/${romeo.nick}`, { type: 'groupchat', body: 'birds of a feather' }))
  // The parrot has heard it too.
  await juliet.receives(
    stanza => stanza.getChildText('body') === 'birds of a feather' && resourceOf(stanza.attrs.from) !== romeo.nick,
  )
  await juliet.sends(xml`<presence to="${room}/${juliet.nick}" type="unavailable"/>`)
  await romeo.receives(presenceOf(`${room}/${juliet.nick}`, { type: 'unavailable' }))
})

scenario('a parrot throws somebody out, and says why', parrot, async ({ romeo, at }) => {
  const room = at('perch')
  await romeo.joins(room)
  await romeo.says(room, '!kick moulting')
  const out = await romeo.receives(presenceOf(`${room}/${romeo.nick}`, { type: 'unavailable', codes: ['110', '307'] }))
  assert.match(String(out), /moulting/)
})

scenario('failures on demand are answered each by its condition', parrot, async ({ romeo, at }) => {
  const failures: [string, string][] = [
    ['not-allowed', 'auth/forbidden'],
    ['rate-limited', 'wait/resource-constraint'],
    ['unreachable', 'wait/remote-server-timeout'],
    ['too-large', 'modify/policy-violation'],
    ['unexpected', 'wait/internal-server-error'],
  ]
  for (const [code, expected] of failures) {
    await romeo.sends(xml`<message to="${at('polly')}" type="chat"><body>!fail ${code}</body></message>`)
    await romeo.receives(messageOf(at('polly'), { body: `The next message fails: ${code}.` }))
    await romeo.sends(xml`<message to="${at('polly')}" type="chat" id="f-${code}"><body>now</body></message>`)
    const error = await romeo.receives(messageOf(at('polly'), { type: 'error', id: `f-${code}` }))
    assert.equal(errorOf(error), expected)
  }
})

scenario('a connection that breaks comes back, with its rooms', parrot, async ({ romeo, at }) => {
  const room = at('flock')
  await romeo.joins(room)
  await romeo.sends(xml`<message to="${at('polly')}" type="chat"><body>!disconnect unreachable</body></message>`)
  await waitUntil(
    async () => {
      const id = await romeo.says(room, 'am I back?')
      const answer = await romeo.receives(stanza => stanza.attrs.id === id, { deadlineMs: 30_000 })
      return answer.attrs.type !== 'error'
    },
    { deadlineMs: 60_000 },
  )
})

scenario('names with spaces, @ and quotes are escaped in JIDs', parrot, async ({ romeo, juliet, at }) => {
  const room = at('o\\27reilly\\40work')
  await romeo.joins(room)
  await juliet.joins(room)
  await romeo.says(room, 'quoted')
  await juliet.receives(messageOf(`${room}/${romeo.nick}`, { body: 'quoted' }))
})

scenario('whatever a network says arrives as XML', parrot, async ({ romeo, at }) => {
  const polly = at('polly')
  for (const [order, expected] of [
    ['!say a\\u0003b\\u0000c', 'abc'],
    ['!say \\ud800x', undefined],
    ['!say ]]><&', ']]><&'],
  ] as const) {
    await romeo.sends(xml`<message to="${polly}" type="chat"><body>${order}</body></message>`)
    await romeo.receives(
      stanza => stanza.attrs.from === polly && (expected === undefined || stanza.getChildText('body') === expected),
    )
  }
  await romeo.sends(xml`<message to="${polly}" type="chat"><body>!long 614400</body></message>`)
  const bytes = () =>
    romeo.client.stanzas
      .filter(({ attrs }) => attrs.from === polly)
      .map(stanza => stanza.getChildText('body') ?? '')
      .filter(body => /^x+$/.test(body))
      .join('').length
  await waitUntil(() => bytes() === 614_400, { deadlineMs: 30_000, describe: () => `${bytes()} bytes came` })
})
