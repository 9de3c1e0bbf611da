// XEP-0203: Delayed Delivery

import { escapeAttribute } from '@spectrum/xmpp'
import { defineXep } from '../xep.ts'

const xmlns = 'urn:xmpp:delay'

export const delay = defineXep({ number: 203, version: '2.0', status: 'complete', announce: () => [xmlns] })

/** `<delay/>` of what was said then, nothing for what is said now. `from` is who kept it. */
export function delayXml(atMs: number | undefined, from: string): string {
  if (atMs === undefined || !Number.isFinite(atMs) || Math.abs(atMs) > 8.64e15) return ''
  return `<delay xmlns="${xmlns}" from="${escapeAttribute(from)}" stamp="${new Date(atMs).toISOString()}"/>`
}
