import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { escapeNode, nameToNode, nodeToName, unescapeNode } from './escaping.ts'
import { prepareLocal } from './jid.ts'

describe('XEP-0106', () => {
  // Section 6 of the XEP.
  const examples = {
    'space cadet': 'space\\20cadet',
    'call me "ishmael"': 'call\\20me\\20\\22ishmael\\22',
    'at&t guy': 'at\\26t\\20guy',
    "d'artagnan": 'd\\27artagnan',
    '/.fanboy': '\\2f.fanboy',
    '::foo::': '\\3a\\3afoo\\3a\\3a',
    '<foo>': '\\3cfoo\\3e',
    'user@host': 'user\\40host',
    'c:\\net': 'c\\3a\\net',
    'c:\\\\net': 'c\\3a\\\\net',
    'c:\\cool stuff': 'c\\3a\\cool\\20stuff',
    'c:\\5commas': 'c\\3a\\5c5commas',
    '\\3and\\2is\\5@example.com': '\\5c3and\\2is\\5\\40example.com',
  }
  for (const [name, node] of Object.entries(examples)) {
    test(name, () => {
      assert.equal(escapeNode(name), node)
      assert.equal(unescapeNode(node), name)
    })
  }

  test('every name comes back', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), name => unescapeNode(escapeNode(name)) === name))
    const nasty = fc.string({ unit: fc.constantFrom('\\', '2', '0', '5', 'c', '4', '@', ' ', '/', 'e', '3') })
    fc.assert(
      fc.property(nasty, name => unescapeNode(escapeNode(name)) === name),
      { numRuns: 5_000 },
    )
  })

  test('what is escaped is a legal local part, for every printable name', () => {
    const printable = fc.string({
      unit: fc.integer({ min: 0x21, max: 0x7e }).map(code => String.fromCharCode(code)),
      minLength: 1,
      maxLength: 200,
    })
    fc.assert(fc.property(printable, name => prepareLocal(escapeNode(name)) === escapeNode(name).toLowerCase()))
  })
})

describe('names in style percent', () => {
  test('the last @ becomes %', () => {
    assert.equal(nameToNode('#chan@irc.example', 'percent'), '#chan%irc.example')
    assert.equal(nodeToName('#chan%irc.example', 'percent'), '#chan@irc.example')
    assert.equal(nameToNode('a b@c', 'percent'), 'a\\20b%c')
    assert.equal(nodeToName('a\\20b%c', 'percent'), 'a b@c')
    assert.equal(nodeToName('chan\\40irc.example', 'percent'), 'chan@irc.example')
  })

  test('without escapes, % is @ in style escaped too', () => {
    assert.equal(nodeToName('#chan%irc.example', 'escaped'), '#chan@irc.example')
    assert.equal(nodeToName('50%\\20off', 'escaped'), '50% off')
  })

  test('in style exact % is itself, and every name comes back', () => {
    assert.equal(nodeToName('#50%off', 'exact'), '#50%off')
    assert.equal(nodeToName('#a\\40b%c', 'exact'), '#a@b%c')
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), name => nodeToName(nameToNode(name, 'exact'), 'exact') === name),
    )
  })

  test('every name without % comes back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), name => {
        const clean = name.replaceAll('%', '')
        return nodeToName(nameToNode(clean, 'percent'), 'percent') === clean || clean.split('@').length > 2
      }),
    )
  })
})
