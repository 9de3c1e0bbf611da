import type { SpanContext } from '@opentelemetry/api'

/** W3C Trace Context, section 3.2: `00-<trace id>-<span id>-<flags>`. */
export function toTraceparent({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
}

/** Undefined for what is malformed; versions after 00 are read as far as 00 goes, as the standard asks (section 3.2.4). */
export function fromTraceparent(text: string): SpanContext | undefined {
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(text)
  const [, version = '', traceId = '', spanId = '', flags = '', rest] = match ?? []
  if (!match || version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true }
}
