import pino from 'pino'

/** Names of fields that are never written, however deep they stand: a last net, not a licence to log them. */
const secrets = [
  'password',
  'secret',
  'token',
  'credentials',
  'masterKey',
  'nkeySeed',
  'seed',
  'roomKey',
  'connectionstring',
]
const bodies = ['body', 'text', 'xml', 'stanza']
const hidden = new Set([...secrets, ...bodies])

const deepest = 6

/**
 * The same fields, ready to be written as JSON, with `[hidden]` in place of every secret and body. Errors become plain
 * objects (kind, message, stack). The argument is left as it is.
 */
export function redact(fields: object): Record<string, unknown> {
  return copy(fields, 0) as Record<string, unknown>
}

function copy(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth > deepest) return '[deeper]'
  if (value instanceof Error) return copy({ ...pino.stdSerializers.err(value) }, depth)
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (Array.isArray(value)) return value.map(item => copy(item, depth + 1))
  if ('toJSON' in value && typeof value.toJSON === 'function') return value.toJSON()
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, hidden.has(name) ? '[hidden]' : copy(part, depth + 1)]),
  )
}
