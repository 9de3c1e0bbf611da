import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  AttentionRequested,
  ChatState,
  ContactPresence,
  ContactPresence_Kind,
  Event,
  MessageReceived,
  OccupantPresence,
  Show,
} from '@spectrum/messages'
import { Registry } from '@spectrum/service-kit'
import { addressTo, parseElement } from '@spectrum/xmpp'
import fc from 'fast-check'
import { Addresses } from './addresses.ts'
import { defineFrontendMetrics } from './metrics.ts'
import { Rendering } from './rendering.ts'
import type { EventCase, Renderer } from './xep.ts'
import { xeps } from './xeps/index.ts'

const metrics = defineFrontendMetrics(new Registry())
const tybalt = { name: 'tybalt', node: '', resource: '' }
const inRoom = { name: '#verona', node: '#verona', resource: 'tybalt' }

function render(event: NonNullable<Event['event']>, style: 'escaped' | 'percent' = 'escaped'): string[] {
  const renderer = xeps.map(({ inbound }) => inbound?.[event.$case]).find(found => found !== undefined)
  assert.ok(renderer, `nobody renders ${event.$case}`)
  const context = new Rendering(
    new Addresses('gw.example', style),
    metrics,
    Event.fromPartial({ key: 'k1', user: 'a@b' }),
  )
  const written = (renderer as Renderer<EventCase>)(event.value, context).map(stanza => addressTo(stanza, 'a@b/c'))
  for (const xml of written) assert.ok(parseElement(xml), xml)
  return written
}

describe('events as stanzas', () => {
  test('every kind of event is told by exactly one feature, but those that are for later', () => {
    const told = xeps.flatMap(({ inbound = {} }) => Object.keys(inbound)).sort()
    assert.deepEqual(told, [
      'attentionRequested',
      'chatStateChanged',
      'commandFailed',
      'contactPresence',
      'contactRemoved',
      'gatewayPresence',
      'messageReceived',
      'occupantPresence',
      'receiptReceived',
      'selfPingAnswered',
      'subjectChanged',
    ])
  })

  test('presence of contacts and of the gateway', () => {
    const value = ContactPresence.fromPartial({
      from: tybalt,
      show: Show.SHOW_DND,
      status: 'a<b',
      nick: 'T',
      avatarHash: 'abc',
    })
    assert.deepEqual(render({ $case: 'contactPresence', value }), [
      '<presence from="tybalt@gw.example" to="a@b/c"><show>dnd</show><status>a&lt;b</status><nick xmlns="http://jabber.org/protocol/nick">T</nick><x xmlns="vcard-temp:x:update"><photo>abc</photo></x></presence>',
    ])
    const asks = ContactPresence.fromPartial({ from: tybalt, kind: ContactPresence_Kind.KIND_SUBSCRIBE })
    assert.deepEqual(render({ $case: 'contactPresence', value: asks }), [
      '<presence from="tybalt@gw.example" to="a@b/c" type="subscribe"/>',
    ])
    assert.deepEqual(render({ $case: 'gatewayPresence', value: { show: Show.SHOW_OFFLINE, status: '' } }), [
      '<presence from="gw.example" to="a@b/c" type="unavailable"/>',
    ])
    assert.equal(render({ $case: 'contactRemoved', value: { contact: tybalt } }).length, 3)
  })

  test('a rename, a kick and a real JID in a room', () => {
    const renamed = OccupantPresence.fromPartial({
      from: inRoom,
      show: Show.SHOW_OFFLINE,
      role: 2,
      newNick: 'T"2',
      codes: [303, 110],
    })
    assert.match(
      render({ $case: 'occupantPresence', value: renamed })[0] ?? '',
      /type="unavailable"><x xmlns="[^"]*#user"><item affiliation="none" role="participant" nick="T&quot;2"\/><status code="303"\/><status code="110"\/>/,
    )
    const kicked = OccupantPresence.fromPartial({
      from: inRoom,
      show: Show.SHOW_OFFLINE,
      role: 2,
      codes: [307],
      actor: 'prince',
      reason: 'brawl\u0002',
      jidName: 'tybalt@irc.example',
    })
    assert.match(
      render({ $case: 'occupantPresence', value: kicked }, 'percent')[0] ?? '',
      /<item affiliation="none" role="none" jid="tybalt%irc.example@gw.example"><actor nick="prince"\/><reason>brawl<\/reason><\/item>/,
    )
  })

  test('receipts, chat states, attention', () => {
    assert.match(
      render({ $case: 'receiptReceived', value: { from: tybalt, stanzaId: 'm1' } })[0] ?? '',
      /<received xmlns="urn:xmpp:receipts" id="m1"\/>/,
    )
    const typing = { from: tybalt, state: ChatState.CHAT_STATE_COMPOSING, isGroupchat: false }
    assert.match(render({ $case: 'chatStateChanged', value: typing })[0] ?? '', /<composing /)
    const buzz = AttentionRequested.fromPartial({ from: tybalt, text: 'hey' })
    assert.match(render({ $case: 'attentionRequested', value: buzz })[0] ?? '', /<attention [^>]*\/><body>hey</)
  })

  test('formatting is reduced to what XHTML-IM has, and dropped when it is no XML', () => {
    const message = (xhtml: string) =>
      render({
        $case: 'messageReceived',
        value: MessageReceived.fromPartial({ from: tybalt, body: 'x', id: 'i', xhtml }),
      })[0] ?? ''
    assert.match(
      message('<b onclick="x()">bold</b><script>alert(1)</script><a href="javascript:x()">l</a><font>f</font>'),
      /<body xmlns="http:\/\/www.w3.org\/1999\/xhtml"><b>bold<\/b><a>l<\/a>f<\/body>/,
    )
    assert.doesNotMatch(message('<b>unclosed'), /xhtml/)
  })

  test('whatever the network says is valid XML from a valid address, or nothing', () => {
    const text = fc.string({ unit: 'binary' })
    const property = fc.property(text, text, text, text, (name, nick, body, id) => {
      const from = { name: `x${name}`, node: '', resource: nick }
      render({
        $case: 'messageReceived',
        value: MessageReceived.fromPartial({ from, body, id, kind: 1, originId: id, networkId: id }),
      })
      render({
        $case: 'occupantPresence',
        value: OccupantPresence.fromPartial({
          from,
          status: body,
          reason: body,
          actor: nick,
          newNick: nick,
          jidName: name,
        }),
      })
      render({ $case: 'subjectChanged', value: { from, subject: body, id } })
    })
    fc.assert(property, { numRuns: 1_000 })
  })

  test('a name that no JID can hold is counted', async () => {
    const before =
      (await metrics.dropped.get()).values.find(({ labels }) => labels.reason === 'no-jid-for-name')?.value ?? 0
    const from = { name: 'a\u0000b', node: '', resource: '' }
    assert.deepEqual(render({ $case: 'messageReceived', value: MessageReceived.fromPartial({ from, body: 'x' }) }), [])
    const after =
      (await metrics.dropped.get()).values.find(({ labels }) => labels.reason === 'no-jid-for-name')?.value ?? 0
    assert.equal(after - before, 1)
  })
})
