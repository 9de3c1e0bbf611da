import { NetworkError, type OutgoingMessage } from '@spectrum/network'
import { ACTION_BYTES, formatCtcp } from './ctcp.ts'
import { splitText } from './splitting.ts'

/** More lines than this are no chat. */
const MAX_LINES = 256
/** Longer texts cannot fit into that; they are refused before they are looked at. */
export const MAX_TEXT_BYTES = 128 * 1024
const OVERHEAD_BYTES = 'PRIVMSG  :'.length
const breaksLine = /[\0\r\n]/
const breaksTarget = /[\0\r\n ,]|^:|^$/

/**
 * The lines that say a message. Others receive each behind our `nick!user@host`, so only `relayedBytes` are left
 * for command, target and text. Throws NetworkError `bad-address`, `not-acceptable` (nothing to say), `too-large`.
 */
export function privmsgLines(target: string, message: OutgoingMessage, relayedBytes: number): readonly string[] {
  if (breaksTarget.test(target)) throw new NetworkError('bad-address', 'That is no name on IRC.')
  if (Buffer.byteLength(message.text) > MAX_TEXT_BYTES) {
    throw new NetworkError('too-large', `IRC carries at most ${MAX_TEXT_BYTES / 1024} KiB of text at once.`)
  }
  const isAction = message.action === true || message.text.startsWith('/me ')
  const text = isAction && message.action !== true ? message.text.slice('/me '.length) : message.text
  const room = relayedBytes - OVERHEAD_BYTES - Buffer.byteLength(target) - (isAction ? ACTION_BYTES : 0)
  const pieces = splitText(text, Math.max(room, 64))
  if (pieces.length === 0)
    throw new NetworkError('not-acceptable', 'There is nothing in this message that IRC could carry.')
  if (pieces.length > MAX_LINES)
    throw new NetworkError('too-large', `That is ${pieces.length} lines on IRC; at most ${MAX_LINES} are sent at once.`)
  return pieces.map(piece => {
    if (breaksLine.test(piece))
      throw new NetworkError('not-acceptable', 'Line breaks and NUL cannot be part of a line.')
    return `PRIVMSG ${target} :${isAction ? formatCtcp('ACTION', piece) : piece}`
  })
}
