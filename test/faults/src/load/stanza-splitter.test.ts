import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { attribute, StanzaSplitter } from './stanza-splitter.ts'

const stream = [
  "<?xml version='1.0'?>",
  "<stream:stream id='1' xmlns='jabber:client'>",
  '<stream:features><mechanisms xmlns="sasl"><mechanism>PLAIN</mechanism></mechanisms></stream:features>',
  "<presence from='a@b/c'/>",
  "<message from='a' id='x&gt;1'><body>1 &lt; 2</body></message>",
  '<r xmlns="urn:xmpp:sm:3"/>',
  "<iq type='get' id='7'><ping xmlns='urn:xmpp:ping'/></iq>",
  '</stream:stream>',
]

test('a stream is cut into its stanzas, wherever the network cut it', () => {
  const text = stream.join('')
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: text.length })), cuts => {
      const stanzas: string[] = []
      const splitter = new StanzaSplitter(stanza => stanzas.push(stanza))
      let from = 0
      for (const cut of [...cuts.sort((a, b) => a - b), text.length]) {
        splitter.write(text.slice(from, cut))
        from = cut
      }
      assert.deepEqual(stanzas, stream)
    }),
  )
})

test('white space between stanzas, as keep-alive, is no stanza', () => {
  const stanzas: string[] = []
  new StanzaSplitter(stanza => stanzas.push(stanza)).write(' \n<presence/> <iq id="1"/>\n')
  assert.deepEqual(stanzas, ['<presence/>', '<iq id="1"/>'])
})

test('attributes are those of the stanza itself', () => {
  assert.equal(attribute('<iq type="get"><query id="inner"/></iq>', 'id'), undefined)
  assert.equal(attribute(`<iq id='a"b' type="get"/>`, 'id'), 'a"b')
  assert.equal(attribute('<iq other-id="1" id="2"/>', 'id'), '2')
})
