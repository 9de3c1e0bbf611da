import type { ReceivedMessage } from '@spectrum/network'
import { type Ctcp, parseCtcp } from './ctcp.ts'
import { plainText, renderFormatting } from './formatting.ts'
import { isNick, toMessageId } from './ids.ts'
import { type Line, nickOf, tagOf } from './line.ts'
import type { Link } from './link.ts'
import { serverTimeOf } from './server-time.ts'

/** Older than this by `server-time`, and a line is shown as said earlier: younger ones are clocks that disagree. */
const DELAYED_MS = 60_000

/** What a PRIVMSG or NOTICE of a person says; `undefined` (and counted) where it says nothing that can be shown. */
export function readMessage(
  link: Link,
  line: Line,
  isNotice: boolean,
): { readonly message: ReceivedMessage } | { readonly ctcp: Ctcp } | undefined {
  const useless = (reason: string): undefined => void link.parts.count(reason)
  const [target, raw] = line.params
  if (target === undefined || raw === undefined) return useless('malformed-line')
  const nick = nickOf(line.source)
  if (!isNick(nick)) return useless('malformed-source')
  const chat = chatOf(link, target, nick)
  if (chat === undefined) return useless('message-for-unknown-room')
  const ctcp = parseCtcp(raw)
  if (ctcp !== undefined && ctcp.command !== 'ACTION') return { ctcp }
  const said = renderFormatting(ctcp === undefined ? raw : ctcp.text)
  if (said.text.trim() === '') return useless('empty-message')
  const message: ReceivedMessage = {
    type: 'message',
    chat,
    from: nick === link.nick ? { self: true, nick } : { user: link.userOf(nick), nick },
    text: said.text,
  }
  const hasMore = isNotice || ctcp || said.xhtml || line.tags !== ''
  return { message: hasMore ? { ...message, ...more(link, line, said.xhtml, ctcp, isNotice) } : message }
}

function more(link: Link, line: Line, xhtml: string | undefined, ctcp: Ctcp | undefined, isNotice: boolean) {
  const id = tagOf(line, 'msgid')
  const saidAt = serverTimeOf(line)
  const isDelayed = saidAt !== undefined && link.host.clock.now() - saidAt.getTime() > DELAYED_MS
  return {
    ...(xhtml !== undefined && { xhtml }),
    ...(ctcp && { action: true }),
    ...(isNotice && { kind: 'notice' as const }),
    ...(id && { id: toMessageId(plainText(id).slice(0, 200)) }),
    ...(saidAt && { saidAt }),
    ...(isDelayed && { at: saidAt }),
  }
}

/** The channel of a target; `@#channel` are its moderators. */
export function channelOf(link: Link, target: string): string {
  const { isupport } = link.connection
  const isStatus = isupport.statusSymbols.includes(target.charAt(0)) && isupport.isChannel(target.slice(1))
  return isStatus ? target.slice(1) : target
}

/** Where a message belongs. One to somebody's moderators (`@#channel`) is shown in the channel. */
function chatOf(link: Link, target: string, nick: string): ReceivedMessage['chat'] | undefined {
  const name = channelOf(link, target)
  if (link.connection.isupport.isChannel(name)) {
    const room = link.roomNamed(name)
    return room?.state === 'joined' || room?.state === 'syncing' ? room.chat : undefined
  }
  const other = nick === link.nick ? target : nick
  if (!isNick(other)) return undefined
  const room = link.privateRoomOf(link.fold(other))
  return room ? { kind: 'occupant', room: room.id, nick: other } : { kind: 'contact', user: link.userOf(other) }
}
