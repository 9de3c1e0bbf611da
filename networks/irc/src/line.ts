import { NetworkError } from '@spectrum/network'

/** One message of the IRC protocol (modern client protocol, RFC 1459 section 2.3.1, IRCv3 message-tags). */
export interface Line {
  /** The tags as they came, without the `@`; read them with {@link tagOf} or {@link parseTags}. Empty when there are none. */
  readonly tags: string
  /** Who says it: `nick!user@host` or a server's name. Empty when not told. */
  readonly source: string
  /** Command or three-digit numeric, in upper case as servers send it. */
  readonly command: string
  readonly params: readonly string[]
}

const SPACE = 32
const COLON = 58
const AT = 64

/** Reads a line without its end. `undefined` for one that holds no command. Never throws. */
export function parseLine(text: string): Line | undefined {
  let at = 0
  let tags = ''
  let source = ''
  if (text.charCodeAt(0) === AT) {
    const end = text.indexOf(' ')
    if (end < 0) return undefined
    tags = text.slice(1, end)
    at = skipSpaces(text, end)
  }
  if (text.charCodeAt(at) === COLON) {
    const end = text.indexOf(' ', at)
    if (end < 0) return undefined
    source = text.slice(at + 1, end)
    at = skipSpaces(text, end)
  }
  let end = text.indexOf(' ', at)
  if (end < 0) end = text.length
  if (end === at) return undefined
  const command = text.slice(at, end)
  const params: string[] = []
  at = skipSpaces(text, end)
  while (at < text.length) {
    if (text.charCodeAt(at) === COLON) {
      params.push(text.slice(at + 1))
      break
    }
    end = text.indexOf(' ', at)
    if (end < 0) end = text.length
    params.push(text.slice(at, end))
    at = skipSpaces(text, end)
  }
  return { tags, source, command, params }
}

function skipSpaces(text: string, at: number): number {
  while (text.charCodeAt(at) === SPACE) at++
  return at
}

const unescaped: Record<string, string> = { ':': ';', s: ' ', r: '\r', n: '\n' }
const unescape = (value: string): string =>
  value.includes('\\') ? value.replace(/\\(.?)/gs, (_, char: string) => unescaped[char] ?? char) : value

/** All tags, unescaped (IRCv3 message-tags, "Rules for escaping"); the last of a doubled key counts. */
export function parseTags(tags: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const tag of tags.split(';')) {
    if (tag === '') continue
    const equals = tag.indexOf('=')
    if (equals < 0) found.set(tag, '')
    else found.set(tag.slice(0, equals), unescape(tag.slice(equals + 1)))
  }
  return found
}

/** One tag's value, without reading the others where it is absent. */
export function tagOf(line: Line, key: string): string | undefined {
  const { tags } = line
  if (tags === '') return undefined
  const after = tags.lastIndexOf(`;${key}=`)
  const start = after >= 0 ? after + 1 : tags.startsWith(`${key}=`) ? 0 : -1
  if (start < 0) return undefined
  const end = tags.indexOf(';', start)
  return unescape(tags.slice(start + key.length + 1, end < 0 ? tags.length : end))
}

/** The nick of a source: what stands before `!` (or, without it, before `@`). */
export function nickOf(source: string): string {
  let end = source.indexOf('!')
  if (end < 0) end = source.indexOf('@')
  return end < 0 ? source : source.slice(0, end)
}

const breaksLine = /[\0\r\n]/
const breaksMiddle = /[\0\r\n ]|^:|^$/

/**
 * Writes a line without its end. Whatever is given, the result is one line with exactly these parameters: a parameter that
 * would end the line, or start another parameter, is refused with NetworkError `bad-address`, and a
 * line that is too long with `too-large`.
 */
export function serialiseLine(
  command: string,
  params: readonly string[],
  from: { tags?: string; source?: string } = {},
): string {
  if (!/^[A-Za-z]+$|^[0-9]{3}$/.test(command)) throw new NetworkError('bad-address', 'That is not an IRC command.')
  let line = command
  if (from.source !== undefined) line = `:${middle(from.source)} ${line}`
  if (from.tags !== undefined && from.tags !== '') line = `@${middle(from.tags)} ${line}`
  const last = params.length - 1
  for (let i = 0; i < last; i++) line += ` ${middle(params[i] ?? '')}`
  if (last >= 0) line += ` ${trailing(params[last] ?? '')}`
  if (Buffer.byteLength(line) > MAX_LINE_BYTES) throw new NetworkError('too-large', 'That is too long for IRC.')
  return line
}

/** RFC 1459 section 2.3: 512 with the line's end. Servers cut longer ones, or close the connection. */
const MAX_LINE_BYTES = 510

function trailing(param: string): string {
  if (!breaksMiddle.test(param)) return param
  if (breaksLine.test(param)) throw new NetworkError('bad-address', 'Line breaks and NUL cannot be part of this.')
  return `:${param}`
}

function middle(param: string): string {
  if (!breaksMiddle.test(param)) return param
  throw new NetworkError(
    'bad-address',
    'IRC names cannot be empty, contain spaces or line breaks, or begin with a colon.',
  )
}

/** Tags as {@link serialiseLine} takes them: keys as they are, values escaped. */
export function escapeTags(tags: Readonly<Record<string, string>>): string {
  const escaped: Record<string, string> = { ';': '\\:', ' ': '\\s', '\r': '\\r', '\n': '\\n', '\\': '\\\\' }
  return Object.entries(tags)
    .map(([key, value]) => (value === '' ? key : `${key}=${value.replace(/[; \r\n\\]/g, char => escaped[char] ?? '')}`))
    .join(';')
}
