import { type Chat, type FailureCode, isFailureCode, NetworkError } from '@spectrum/network'

/** What somebody can order of a parrot, by a line that starts with `!`. */
export type Order =
  /** The connection breaks, for this reason. */
  | { readonly order: 'disconnect'; readonly code: FailureCode }
  /** Every message takes that long from now on. */
  | { readonly order: 'slow'; readonly ms: number }
  /** The next message fails, for this reason. */
  | { readonly order: 'fail'; readonly code: FailureCode }
  /** The parrot throws whoever asks out of the room (`ban`: for good). */
  | { readonly order: 'kick' | 'ban'; readonly reason?: string }
  /** The parrot says this, characters included that nobody should say. */
  | { readonly order: 'say'; readonly text: string }
  /** The parrot says that many lines. */
  | { readonly order: 'flood'; readonly lines: number }
  | { readonly order: 'invite'; readonly room: string }
  /** The worker's process dies at once, as of a bug; only where the configuration allows it. */
  | { readonly order: 'crash' }
  /** The parrots of this worker do not repeat that many lines, whoever says them. */
  | { readonly order: 'swallow'; readonly lines: number }
  | { readonly order: 'attention' | 'help' }

export const help = [
  '!disconnect [failure] · breaks the connection',
  '!slow 500ms · messages take that long (0ms: no longer)',
  '!fail <failure> · the next message fails',
  '!kick [reason] and !ban [reason] · in a room',
  '!say <text> · says it; \\u0003 and the like stand for the character',
  '!long <bytes> · says a line of that length',
  '!flood <lines> · says that many lines',
  '!invite <room> · invites to a room',
  '!attention · asks for attention',
  '!swallow <lines> · that many lines are not repeated',
  '!crash · the worker dies of it, where parrot.allow_crash permits',
].join('\n')

const most = { bytes: 16 * 1024 * 1024, lines: 100_000, ms: 600_000 }

/** The order in a line; `undefined` for ordinary talk. Throws `bad-request` for an order that makes no sense. */
export function parseOrder(text: string, chat: Chat): Order | undefined {
  const match = /^!([a-z]+)(?:\s+(.*))?$/s.exec(text)
  if (match === null) return undefined
  const [, word = '', rest = ''] = match
  switch (word) {
    case 'disconnect':
      return { order: word, code: failureCode(rest || 'unreachable') }
    case 'fail':
      return { order: word, code: failureCode(rest) }
    case 'slow':
      return { order: word, ms: milliseconds(rest) }
    case 'kick':
    case 'ban':
      if (chat.kind !== 'room') throw bad(`!${word} is for rooms.`)
      return { order: word, ...(rest === '' ? {} : { reason: rest }) }
    case 'say':
      return { order: word, text: unescape(rest) }
    case 'long':
      return { order: 'say', text: 'x'.repeat(count(rest, most.bytes)) }
    case 'flood':
    case 'swallow':
      return { order: word, lines: count(rest, most.lines) }
    case 'invite':
      return { order: word, room: rest }
    case 'crash':
    case 'attention':
    case 'help':
      return { order: word }
    default:
      return undefined
  }
}

function failureCode(word: string): FailureCode {
  if (isFailureCode(word)) return word
  throw bad('That is no failure of the table.')
}

function milliseconds(text: string): number {
  const match = /^(\d{1,9})(ms|s)$/.exec(text)
  if (match === null) throw bad('A duration reads 500ms or 2s.')
  const ms = Number(match[1]) * (match[2] === 's' ? 1000 : 1)
  if (ms > most.ms) throw bad('Parrots are not that slow.')
  return ms
}

function count(text: string, limit: number): number {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(number >= 1 && number <= limit)) throw bad(`A number between 1 and ${limit} is wanted.`)
  return number
}

/** Replaces \uXXXX by what it stands for, lone surrogates included: that is what it is for. */
function unescape(text: string): string {
  return text.replace(/\\u([0-9a-fA-F]{4})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}

const bad = (message: string): NetworkError => new NetworkError('bad-request', message)
