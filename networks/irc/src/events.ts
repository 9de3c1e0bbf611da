import type { NetworkEvent } from '@spectrum/network'
import { answerCtcp, type Ctcp } from './ctcp.ts'
import { plainText } from './formatting.ts'
import { isNick } from './ids.ts'
import { type Line, nickOf, serialiseLine } from './line.ts'
import type { Link } from './link.ts'
import { Member } from './member.ts'
import { channelOf, readMessage } from './message-reader.ts'
import { joinFailures, messageFailures } from './numerics.ts'
import type { Room } from './room.ts'
import { applyRoomModes, factsOf, parseModes } from './room-modes.ts'
import { serverTimeOf } from './server-time.ts'

/** Messages that came while the list of members was still coming: told after it. */
const MAX_HELD = 1000

type Handler = (link: Link, line: Line) => void

/** One line from a registered connection, in the server's order. May throw; the connection counts and logs it. */
export function onLine(link: Link, line: Line): void {
  if (link.history.take(line)) return
  if (!link.requests.isEmpty && link.requests.settle(line)) return
  const handler = handlers.get(line.command)
  if (handler) handler(link, line)
  else if (/^[45]\d\d$/.test(line.command)) onFailure(link, line)
}

const handlers = new Map<string, Handler>(
  Object.entries({
    PRIVMSG: (link, line) => onMessage(link, line, false),
    NOTICE: (link, line) => onMessage(link, line, true),
    JOIN: onJoin,
    PART: onPart,
    KICK: onKick,
    QUIT: onQuit,
    NICK: onNick,
    MODE: onMode,
    TOPIC: onTopic,
    INVITE: onInvite,
    AWAY: onAway,
    ACCOUNT: onAccount,
    KILL: () => {},
    FAIL: (link, line) => link.history.failed(line),
    '324': onModes,
    '331': (link, { params }) => setTopic(link.roomNamed(params[1] ?? ''), ''),
    '332': (link, { params }) => setTopic(link.roomNamed(params[1] ?? ''), params[2] ?? ''),
    '333': onTopicSetter,
    '353': onNames,
    '366': onEndOfNames,
    '470': onJoinFailure,
  } satisfies Record<string, Handler>),
)
for (const numeric of Object.keys(joinFailures)) handlers.set(numeric, onJoinFailure)

// ---- messages

function onMessage(link: Link, line: Line, isNotice: boolean): void {
  const nick = nickOf(line.source)
  const target = line.params[0] ?? '*'
  const isServer = line.source === '' || (nick === line.source && nick.includes('.')) || target === '*'
  if (isServer && line.params[1] !== undefined) return onServerNotice(link, target, line.params[1])
  const read = readMessage(link, line, isNotice)
  if (read === undefined) return
  if ('ctcp' in read) return onCtcp(link, line, nick, read.ctcp, isNotice)
  const { message } = read
  const room = message.chat.kind === 'room' ? link.roomNamed(channelOf(link, target)) : undefined
  if (link.history.holds(message, room)) return
  if (room?.state !== 'syncing') link.host.emit(message)
  else if (room.held.length < MAX_HELD) room.held.push(message)
  else link.parts.count('message-before-joined')
}

function onServerNotice(link: Link, target: string, raw: string): void {
  const text = plainText(raw)
  const room = link.roomNamed(target)
  if (text.trim() === '') return
  link.host.emit(room?.state === 'joined' ? { type: 'room-notice', room: room.id, text } : { type: 'notice', text })
}

function onCtcp(link: Link, line: Line, nick: string, ctcp: Ctcp, isAnswer: boolean): void {
  if (isAnswer) {
    const text = plainText(`${nick}: ${ctcp.command} ${ctcp.text}`)
    return link.host.emit({ type: 'notice', text })
  }
  const isPrivate = line.params[0] === link.nick
  const answer = isPrivate ? answerCtcp(ctcp, link.host) : undefined
  if (answer === undefined) return link.parts.count('ctcp-ignored')
  if (!link.ctcp.take()) return link.parts.count('ctcp-limited')
  link.send(serialiseLine('NOTICE', [nick, answer]))
}

// ---- who is in a room

function onJoin(link: Link, line: Line): void {
  const [names = '', account] = line.params
  const nick = nickOf(line.source)
  if (!isNick(nick)) return link.parts.count('malformed-source')
  const key = link.fold(nick)
  const member = new Member(
    key,
    nick,
    link.userOf(nick),
    '',
    undefined,
    account === undefined || account === '*' ? undefined : account,
  )
  for (const name of names.split(',')) {
    const room = link.roomNamed(name)
    if (key === link.ownKey) onOwnJoin(link, line, name, room, member)
    else if (room?.view.get(key)) link.parts.count('join-doubled')
    else if (room) tellOccupant(link, room, room.view.add(member), { kind: 'joined' })
    else link.parts.count('news-of-unknown-room')
  }
}

function onOwnJoin(link: Link, line: Line, name: string, room: Room | undefined, member: Member): void {
  const host = line.source.indexOf('!')
  if (host >= 0)
    link.connection.userhostBytes = Buffer.byteLength(line.source) - Buffer.byteLength(line.source.slice(0, host + 1))
  if (room === undefined) {
    // Put there by the server, or a join that was given up: nobody on our side is in it.
    link.parts.count('join-not-asked-for')
    return link.send(serialiseLine('PART', [name]))
  }
  if (room.state === 'joined' || room.state === 'syncing') return
  room.state = 'syncing'
  room.enteredAt = serverTimeOf(line)
  room.aheadMs = room.enteredAt === undefined ? 0 : room.enteredAt.getTime() - link.host.clock.now()
  room.view.add(member)
}

function onNames(link: Link, { params }: Line): void {
  const room = link.roomNamed(params[2] ?? '')
  if (room?.state !== 'syncing') return
  const { isupport } = link.connection
  for (const word of (params[3] ?? '').split(' ')) {
    let start = 0
    let modes = ''
    for (; start < word.length; start++) {
      const rank = isupport.prefixSymbols.indexOf(word.charAt(start))
      if (rank < 0) break
      modes = isupport.withMode(modes, isupport.prefixModes.charAt(rank), true)
    }
    const nick = nickOf(start === 0 ? word : word.slice(start))
    if (nick === '') continue
    if (isNick(nick)) room.view.add(new Member(link.fold(nick), nick, link.userOf(nick), modes))
    else link.parts.count('malformed-nick')
  }
}

function onEndOfNames(link: Link, { params }: Line): void {
  const room = link.roomNamed(params[1] ?? '')
  if (room?.state === 'syncing') finishJoin(link, room)
}

/** The list of names is there, or will not come any more. */
export function finishJoin(link: Link, room: Room): void {
  const alone = room.view
  // Servers of some networks hide the list; the user is in the room all the same.
  if (!alone.get(link.ownKey)) alone.add(new Member(link.ownKey, link.nick, link.userOf(link.nick)))
  if (room.ticket) {
    room.view = room.ticket.attach(alone.all, link.ownKey)
    room.ticket = undefined
    alone.close()
  }
  const { modes, limit } = room.view.hint ?? {}
  room.modes = modes
  room.limit = limit
  room.state = 'joined'
  room.isKept = true
  link.tell(room)
  if (!link.history.fill(room)) for (const message of room.held.splice(0)) link.host.emit(message)
  if (modes === undefined) link.send(serialiseLine('MODE', [room.name]))
}

function tellOccupant(
  link: Link,
  room: Room,
  member: Member,
  change: Extract<NetworkEvent, { type: 'occupant' }>['change'],
): void {
  if (room.state === 'joined') {
    link.host.emit({ type: 'occupant', room: room.id, occupant: room.occupant(member, link.ownKey), change })
  }
}

const reasonOf = (raw: string | undefined): { reason?: string } => {
  const reason = plainText(raw ?? '')
  return reason === '' ? {} : { reason }
}

function onPart(link: Link, { source, params }: Line): void {
  const key = link.fold(nickOf(source))
  for (const name of (params[0] ?? '').split(',')) {
    const room = link.roomNamed(name)
    if (room === undefined) continue
    if (key === link.ownKey) {
      const isWanted = link.parted(name)
      link.left(room, { kind: 'left', ...(isWanted ? {} : reasonOf(params[1])) })
    } else {
      const member = room.view.remove(key)
      if (member) tellOccupant(link, room, member, { kind: 'left', ...reasonOf(params[1]) })
    }
  }
}

function onKick(link: Link, { source, params }: Line): void {
  const room = link.roomNamed(params[0] ?? '')
  if (room === undefined) return
  const key = link.fold(params[1] ?? '')
  const how = { kind: 'kicked' as const, actor: plainText(nickOf(source)), ...reasonOf(params[2]) }
  if (key === link.ownKey) return link.drop(room, how)
  const member = room.view.remove(key)
  if (member) tellOccupant(link, room, member, how)
}

function onQuit(link: Link, { source, params }: Line): void {
  const key = link.fold(nickOf(source))
  if (key === link.ownKey) return
  const change = { kind: 'left' as const, ...reasonOf(params[0]) }
  for (const [room] of link.roomsWith(key)) {
    const member = room.view.remove(key)
    if (member) tellOccupant(link, room, member, change)
  }
  link.nickFreed(key)
}

function onNick(link: Link, { source, params }: Line): void {
  const from = nickOf(source)
  const to = params[0] ?? ''
  if (!isNick(to)) return link.parts.count('malformed-nick')
  const key = link.fold(from)
  const newKey = link.fold(to)
  const isOwn = key === link.ownKey
  for (const [room, before] of link.roomsWith(key)) {
    tellOccupant(link, room, before, { kind: 'renamed', to })
    room.view.change(key, { key: newKey, nick: to, user: link.userOf(to) })
  }
  if (isOwn) link.connection.nick = to
  else {
    link.renamePrivateChat(key, newKey)
    link.nickFreed(key)
  }
}

function onAway(link: Link, { source, params }: Line): void {
  const key = link.fold(nickOf(source))
  const away = params[0] === undefined || params[0] === '' ? undefined : plainText(params[0]) || true
  for (const [room, before] of link.roomsWith(key)) {
    const after = room.view.change(key, { away })
    if (after && after !== before) tellOccupant(link, room, after, { kind: 'changed' })
  }
}

function onAccount(link: Link, { source, params }: Line): void {
  const key = link.fold(nickOf(source))
  const account = params[0] === '*' ? undefined : params[0]
  for (const [room] of link.roomsWith(key)) room.view.change(key, { account })
}

// ---- modes and topic

function onMode(link: Link, { source, params }: Line): void {
  const room = link.roomNamed(params[0] ?? '')
  if (room === undefined) return
  const { isupport } = link.connection
  const changes = parseModes(params.slice(1), isupport)
  const actor = plainText(nickOf(source))
  for (const { mode, isSet, param } of changes) {
    if (!isupport.prefixModes.includes(mode) || param === undefined) continue
    const before = room.view.get(link.fold(param))
    const after = before && room.view.change(before.key, { modes: isupport.withMode(before.modes, mode, isSet) })
    if (after && after !== before) tellOccupant(link, room, after, { kind: 'changed', actor })
  }
  const others = changes.filter(({ mode }) => !isupport.prefixModes.includes(mode))
  if (others.length === 0 || room.state !== 'joined') return
  tellRoomModes(link, room, () => applyRoomModes(room, others, isupport), actor)
  const words = plainText(describeModes(others))
  link.host.emit({ type: 'room-notice', room: room.id, text: `Mode ${words} by ${actor}` })
}

/** A channel's key is its members' business, but it is no matter for logs and archives. */
function describeModes(changes: ReturnType<typeof parseModes>): string {
  const letters = changes.map(({ mode, isSet }) => `${isSet ? '+' : '-'}${mode}`).join('')
  const params = changes.flatMap(({ mode, param }) => (param === undefined || mode === 'k' ? [] : [param]))
  return [letters, ...params].join(' ')
}

function onModes(link: Link, { params }: Line): void {
  const room = link.roomNamed(params[1] ?? '')
  if (room?.state !== 'joined') return
  const { isupport } = link.connection
  tellRoomModes(link, room, () => {
    room.modes = ''
    applyRoomModes(room, parseModes(params.slice(2), isupport), isupport)
  })
}

function tellRoomModes(link: Link, room: Room, apply: () => void, actor?: string): void {
  const wasModerated = room.isModerated
  const before = room.modes
  apply()
  if (room.modes === before) return
  for (const member of room.isModerated === wasModerated ? [] : room.view.members()) {
    if (member.modes === '') tellOccupant(link, room, member, { kind: 'changed', ...(actor && { actor }) })
  }
  link.host.emit({ type: 'room-facts', room: room.id, facts: factsOf(room) })
}

function setTopic(room: Room | undefined, raw: string): void {
  if (room === undefined) return
  const text = plainText(raw)
  room.topic = text === '' ? undefined : { text }
}

function onTopicSetter(link: Link, { params }: Line): void {
  const room = link.roomNamed(params[1] ?? '')
  if (room?.topic === undefined) return
  const at = Number(params[3]) * 1000
  room.topic.nick = plainText(nickOf(params[2] ?? ''))
  if (Number.isSafeInteger(at) && at > 0) room.topic.at = new Date(at)
}

function onTopic(link: Link, line: Line): void {
  const { source, params } = line
  const room = link.roomNamed(params[0] ?? '')
  if (room === undefined) return
  const nick = plainText(nickOf(source))
  const at = serverTimeOf(line) ?? new Date(link.host.clock.now())
  const text = plainText(params[1] ?? '')
  room.topic = { text, nick, at }
  if (room.state === 'joined') link.host.emit({ type: 'room-subject', room: room.id, subject: text, nick, at })
}

function onInvite(link: Link, { source, params }: Line): void {
  const [invited = '', name = ''] = params
  if (link.fold(invited) !== link.ownKey) return
  const room = link.roomIdOf(name)
  if (room === undefined) return link.parts.count('malformed-line')
  link.host.emit({ type: 'room-invitation', room, from: plainText(nickOf(source)) })
}

// ---- failures

function onJoinFailure(link: Link, line: Line): void {
  const { command, params } = line
  const room = link.roomNamed(params[1] ?? '')
  const code = joinFailures[command]
  if (room?.state !== 'asked' || code === undefined) return onFailure(link, line)
  link.drop(room, { kind: 'refused', code, reason: plainText(params.slice(2).join(' ')) || command })
}

/** True when the error is that of something the user said. */
function tellRefusal(link: Link, command: string, target: string, text: string): boolean {
  const code = messageFailures[command]
  const said = code === undefined ? undefined : link.said.refused(link.fold(target))
  if (code === undefined || said === undefined) return false
  // One message may have been several lines.
  if (said.isRefused) link.parts.count('line-refused')
  else link.host.emit({ type: 'message-failed', chat: said.chat, key: said.key, code, text })
  said.isRefused = true
  return true
}

/** An error that no request of ours waits for: told where it belongs. */
function onFailure(link: Link, { command, params }: Line): void {
  const about = plainText(params[1] ?? '')
  const words = plainText(params.at(-1) ?? '')
  if (words === '') return
  if ((command === '442' || command === '403') && link.parted(about)) {
    const gone = link.roomNamed(about)
    return gone && link.left(gone, { kind: 'left' })
  }
  if (command === '421' && about === 'CHATHISTORY') return link.history.unknown()
  if (tellRefusal(link, command, params[1] ?? '', words)) return
  const room = params.length > 2 ? (link.roomNamed(about) ?? link.privateRoomOf(link.fold(about))) : undefined
  const isRoom = room !== undefined && room.name === about
  const text = params.length > 2 && !isRoom ? `${about}: ${words}` : words
  if (room?.state === 'joined') link.host.emit({ type: 'room-notice', room: room.id, text })
  else if (command !== '421') link.host.emit({ type: 'notice', text })
}
