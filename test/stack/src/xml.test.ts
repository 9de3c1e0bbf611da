import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parse } from 'ltx'
import { matches, xml } from './xml.ts'

const stanza = parse(
  '<message xmlns="jabber:client" type="groupchat" from="#a@irc/juliet" id="1"><body>hi &amp; ho</body><delay xmlns="urn:xmpp:delay" stamp="x"/></message>',
)

test('a pattern matches when it is contained', () => {
  assert.ok(matches('<message type="groupchat"><body>hi &amp; ho</body></message>', stanza))
  assert.ok(matches('<message><delay xmlns="urn:xmpp:delay"/></message>', stanza))
  assert.ok(matches(xml`<message from="${'#a@irc/juliet'}"><body>${'hi & ho'}</body></message>`, stanza))
  assert.ok(matches(element => element.attrs.id === '1', stanza))
})

test('a pattern does not match another name, attribute, namespace, text or number of children', () => {
  assert.ok(!matches('<presence/>', stanza))
  assert.ok(!matches('<message type="chat"/>', stanza))
  assert.ok(!matches('<message><delay xmlns="urn:other"/></message>', stanza))
  assert.ok(!matches('<message><body>hi</body></message>', stanza))
  assert.ok(!matches('<message><body/><body/></message>', stanza))
})

test('what is put into a literal is escaped, elements are not', () => {
  assert.equal(xml`<a b="${`"<'`}">${parse('<c/>')}</a>`, '<a b="&quot;&lt;&apos;"><c/></a>')
})
