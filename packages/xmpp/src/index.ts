/** XMPP as a protocol: addresses, stanzas, data forms and the component stream. Knows nothing of gateways. */
export { Component, type ComponentOptions } from './component.ts'
export type { StreamLog } from './component-stream.ts'
export type { Discarded, OutputItem } from './confirmed-output.ts'
export { type Child, childElements, childOf, Element, parseElement, textOf, toXml, xml } from './element.ts'
export { conditionOf, type ErrorType, errorElement, errorReply, resultReply, type StanzaError } from './errors.ts'
export { escapeNode, type NodeStyle, nameToNode, nodeToName, unescapeNode } from './escaping.ts'
export {
  type DataField,
  type DataForm,
  type FieldType,
  formElement,
  isTrue,
  legacyField,
  type SubmittedForm,
  submittedForm,
} from './forms.ts'
export {
  bareJid,
  formatJid,
  type Jid,
  maxJidLength,
  maxJidPartBytes,
  parseJid,
  prepareDomain,
  prepareLocal,
  prepareResource,
} from './jid.ts'
export { LifeProbe, type LifeProbeOptions } from './life-probe.ts'
export { namespaces } from './namespaces.ts'
export {
  addressTo,
  iqStanza,
  messageStanza,
  presenceStanza,
  type StanzaHead,
  textElement,
  type UnaddressedStanza,
} from './stanza.ts'
export { type Excess, excessOf, StanzaParser, StreamParseError } from './stanza-parser.ts'
export { dropIllegal, escapeAttribute, escapeText, exceeds, splitText } from './xml.ts'
