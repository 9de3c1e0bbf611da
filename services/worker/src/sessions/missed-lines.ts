import { type Command, MessageReceived, type SessionSnapshot_MissedLine } from '@spectrum/messages'
import type { Room, View } from './room.ts'
import type { Session } from './session.ts'
import { tellSubject } from './subject.ts'

/** What is kept of one session: lines, of them those said in one room while nobody was in it, and bytes. */
const most = { lines: 1_000, unread: 100, bytes: 256 * 1_024 }

/** How many of these bytes are in the session's snapshot. */
const storedBytes = 64 * 1_024

/** How many bytes a second it may cost to store what an absent user misses: a worker's crash loses the lines of some seconds. */
const lazyBytesPerSecond = 16 * 1_024

type MessagesReturned = Extract<NonNullable<Command['command']>, { $case: 'messagesReturned' }>['value']
type ReturnsComplete = Extract<NonNullable<Command['command']>, { $case: 'returnsComplete' }>['value']

/** A line as it comes here. */
export interface MissedLine {
  readonly roomName: string
  readonly message: MessageReceived
  /** When it was told, or would have been; milliseconds since the epoch. */
  readonly atMs: number
  /** Clients that were in the room and missed it; none: nobody was there. */
  readonly missedBy: readonly string[]
  /** The other clients in the room, who have it. */
  readonly readBy?: readonly string[]
}

interface Missed {
  readonly roomName: string
  readonly message: MessageReceived
  readonly atMs: number
  readonly bytes: number
  readonly missedBy: Set<string>
  readonly readBy: Set<string>
  readonly toldTo: Set<string>
}

/** Fewer clients have been told it than had missed it. */
const isOwed = ({ missedBy, toldTo }: Missed): boolean => toldTo.size < Math.max(1, missedBy.size)

const isOver = (line: Missed): boolean =>
  !isOwed(line) && [...line.missedBy].every(resource => line.toldTo.has(resource))

/** Who read it has it; who missed it is told once, whoever else was not there only in place of a client that has not come back. */
const isFor = (line: Missed, resource: string): boolean =>
  !line.readBy.has(resource) && !line.toldTo.has(resource) && (line.missedBy.has(resource) || isOwed(line))

/**
 * Room lines that clients of a session cannot have read, until clients are in the room again: what a frontend returned, and
 * what was said in a room that the user stays in while no client is there.
 *
 * A line is told once to each client that missed it. Clients often come back under another name, so it also goes to any client
 * that was not in the room at the time, as long as fewer have been told than had missed it. Beyond the bounds the oldest give
 * way, those first that enough have been told.
 */
export class MissedLines {
  #lines: Missed[] = []
  #bytes = 0

  get size(): number {
    return this.#lines.length
  }

  /** How many lines gave way that somebody was still to be told. */
  keep(line: MissedLine): number {
    const known = this.#find(line)
    if (known !== undefined) {
      // It was returned for one client after the other, or what was told again was lost again.
      for (const resource of line.missedBy) {
        known.missedBy.add(resource)
        known.readBy.delete(resource)
        known.toldTo.delete(resource)
      }
      return 0
    }
    this.#add(toMissed(line))
    return line.missedBy.length === 0 ? this.#shrinkUnread(line.roomName) + this.#shrink() : this.#shrink()
  }

  /**
   * What a client that is in the room from now on is to be told, in the order in which it was said.
   *
   * @param beforeMs - what was said from then on it has
   */
  take(roomName: string, resource: string, beforeMs = Number.POSITIVE_INFINITY): MessageReceived[] {
    const taken = this.#lines.filter(
      line => line.roomName === roomName && line.atMs < beforeMs && isFor(line, resource),
    )
    for (const { toldTo } of taken) toldTo.add(resource)
    if (taken.length > 0) this.#keepOnly(line => !isOver(line))
    return taken.sort((a, b) => a.atMs - b.atMs).map(({ message }) => message)
  }

  /** The user left that room: how many lines nobody will read that were said while nobody was there. */
  forgetUnread(roomName: string): number {
    return this.#keepOnly(line => line.roomName !== roomName || line.missedBy.size > 0)
  }

  /** The user signed out: how many nobody will read. */
  clear(): number {
    return this.#keepOnly(() => false)
  }

  /** For the session's snapshot: the newest lines that somebody is to be told, and how many more there are. */
  stored(maxBytes = storedBytes): { missedLines: SessionSnapshot_MissedLine[]; missedLeftOut: number } {
    const missedLines: SessionSnapshot_MissedLine[] = []
    let bytes = 0
    const owed = this.#lines.filter(isOwed)
    for (const line of owed.toReversed()) {
      bytes += line.bytes
      if (bytes > maxBytes) break
      const { roomName, message, atMs, missedBy, readBy, toldTo } = line
      missedLines.push({
        room: roomName,
        message,
        atMs,
        missedBy: [...missedBy],
        readBy: [...readBy],
        toldTo: [...toldTo],
      })
    }
    return { missedLines: missedLines.reverse(), missedLeftOut: owed.length - missedLines.length }
  }

  restore(lines: readonly SessionSnapshot_MissedLine[]): void {
    for (const { room, message = MessageReceived.create(), toldTo, ...line } of lines) {
      const missed = toMissed({ ...line, roomName: room, message })
      for (const resource of toldTo) missed.toldTo.add(resource)
      this.#add(missed)
    }
  }

  #add(line: Missed): void {
    this.#lines.push(line)
    this.#bytes += line.bytes
  }

  #find({ roomName, message }: MissedLine): Missed | undefined {
    if (message.id === '') return undefined
    return this.#lines.find(
      each =>
        each.message.id === message.id &&
        each.roomName === roomName &&
        each.message.from?.resource === message.from?.resource &&
        each.message.body === message.body,
    )
  }

  #shrinkUnread(roomName: string): number {
    const isUnread = (line: Missed) => line.roomName === roomName && line.missedBy.size === 0
    let over = -most.unread
    for (const line of this.#lines) if (isUnread(line)) over++
    return over > 0 ? this.#keepOnly(line => !isUnread(line) || --over < 0) : 0
  }

  #shrink(): number {
    let dropped = 0
    while (this.#lines.length > most.lines || this.#bytes > most.bytes) {
      const at = Math.max(
        0,
        this.#lines.findIndex(line => !isOwed(line)),
      )
      for (const line of this.#lines.splice(at, 1)) {
        this.#bytes -= line.bytes
        if (isOwed(line)) dropped++
      }
    }
    return dropped
  }

  /** How many go that somebody was still to be told. */
  #keepOnly(isKept: (line: Missed) => boolean): number {
    let dropped = 0
    this.#lines = this.#lines.filter(line => {
      if (isKept(line)) return true
      this.#bytes -= line.bytes
      if (isOwed(line)) dropped++
      return false
    })
    return dropped
  }
}

function toMissed({ roomName, message, atMs, missedBy, readBy = [] }: MissedLine): Missed {
  const names = [roomName, ...missedBy, ...readBy]
  const bytes = names.reduce(
    (sum, name) => sum + Buffer.byteLength(name),
    MessageReceived.encode(message).finish().length,
  )
  return {
    roomName,
    message,
    atMs,
    bytes,
    missedBy: new Set(missedBy),
    readBy: new Set(readBy),
    toldTo: new Set(),
  }
}

/**
 * From a frontend after a restart of the XMPP server. Whoever has come into the room since is told at once. Lines of a room that
 * the user is not in any more are counted only.
 */
export function messagesReturned(session: Session, { messages }: MessagesReturned): void {
  const rooms = new Set<Room>()
  for (const { message, resources, atMs: toldAtMs } of messages) {
    if (message?.from === undefined) {
      session.suppressed('messagesReturned', 'without-sender')
      continue
    }
    const room = session.rooms.find(message.from)
    if (room === undefined) {
      session.suppressed('messagesReturned', 'not-joined')
      continue
    }
    const atMs = toldAtMs > 0 ? toldAtMs : session.context.clock.now()
    const delayed = { ...message, delayedAtMs: message.delayedAtMs ?? atMs }
    const inside = room.insideAt(atMs)
    const readBy = inside.filter(resource => !resources.includes(resource))
    for (const resource of resources) if (inside.includes(resource)) loses(session, room, resource)
    const dropped = session.missed.keep({ roomName: room.id, message: delayed, atMs, missedBy: resources, readBy })
    session.suppressed('messagesReturned', 'missed-lines-full', dropped)
    session.markChanged()
    rooms.add(room)
  }
  for (const room of rooms)
    for (const { node, resources } of room.views)
      for (const resource of resources)
        if (!room.lost.has(resource)) tellMissed(session, room, node, resource, room.enteredAtMs(resource))
}

/** What is said from now on comes after what is told again. */
export function loses(session: Session, room: Room, resource: string): void {
  if (room.lost.has(resource)) return
  const timer = setTimeout(() => comesBack(session, room, resource), session.context.limits.lostMs).unref()
  room.lost.set(resource, { timer, isBack: false, hasEntered: false })
}

/** A client that lost lines speaks in the room as if it had never been away: it has not joined again, and need not. */
export function finds(session: Session, room: Room, resource: string): void {
  if (room.lost.get(resource)?.isBack === false) comesBack(session, room, resource)
}

/**
 * A client that lost lines is to hear on. A frontend may just be returning more of them: it is asked to say when it has
 * returned all, and what is said meanwhile waits, so that all comes in order.
 */
export function comesBack(session: Session, room: Room, resource: string, { hasEntered = false } = {}): void {
  if (session.isOver || session.rooms.get(room.id) !== room) return
  room.found(resource)
  const view = room.viewOf(resource)
  if (view === undefined) return
  const timer = setTimeout(() => {
    // The answer may wait behind a command that takes its time.
    if (session.queue.isBusy) return void timer.refresh()
    session.log.info({}, 'no frontend answers whether it still returns lines; the session goes on')
    hearsAgain(session, room, resource)
  }, session.context.limits.returnsMs).unref()
  room.lost.set(resource, { timer, isBack: true, hasEntered })
  session.tell({ $case: 'returnsAwaited', value: { room: room.address(view.node) } }, [resource])
}

/** From a frontend: everything that it had to return for the client is here. */
export function returnsComplete(session: Session, { resource }: Command, { room: address }: ReturnsComplete): void {
  const room = address === undefined ? undefined : session.rooms.find(address)
  if (room?.lost.get(resource)?.isBack === true) hearsAgain(session, room, resource)
}

function hearsAgain(session: Session, room: Room, resource: string): void {
  const loss = room.found(resource)
  const view = room.viewOf(resource)
  if (view === undefined || session.isOver) return
  tellMissed(session, room, view.node, resource)
  if (loss?.hasEntered === true) tellSubject(session, room, view.node, [resource])
}

/** Tells a line of the room to those of a view who are there, and keeps it for those who are known not to be. */
export function tellLine(
  session: Session,
  room: Room,
  { resources }: View,
  message: MessageReceived,
  traceparent?: string,
  key?: string,
): void {
  const told = room.lost.size === 0 ? resources : resources.filter(resource => !room.lost.has(resource))
  session.tell({ $case: 'messageReceived', value: message }, told, traceparent, key)
  if (told.length === resources.length) return
  const missedBy = resources.filter(resource => room.lost.has(resource))
  const atMs = session.context.clock.now()
  // Those of another view have a line of their own.
  const readBy = room.insideAt(atMs).filter(resource => !missedBy.includes(resource))
  const delayed = { ...message, delayedAtMs: message.delayedAtMs ?? atMs }
  const dropped = session.missed.keep({ roomName: room.id, message: delayed, atMs, missedBy, readBy })
  session.suppressed('message', 'missed-lines-full', dropped)
  session.snapshots.markOutdated(lazyBytesPerSecond)
}

/** Said in a room that the user stays in while no client is there: told to the next one that comes in. */
export function keepUnread(session: Session, room: Room, message: MessageReceived): void {
  const atMs = session.context.clock.now()
  const delayed = { ...message, delayedAtMs: message.delayedAtMs ?? atMs }
  const dropped = session.missed.keep({ roomName: room.id, message: delayed, atMs, missedBy: [] })
  session.suppressed('message', 'missed-lines-full', dropped)
  session.snapshots.markOutdated(lazyBytesPerSecond)
}

/** The room's past for a client that comes in: after its own presence and before the subject (XEP-0045 section 7.2). */
export function tellMissed(session: Session, room: Room, node: string, resource: string, beforeMs?: number): void {
  const messages = session.missed.take(room.id, resource, beforeMs)
  if (messages.length > 0) session.markChanged()
  for (const message of messages) {
    const from = room.address(node, message.from?.resource)
    session.tell({ $case: 'messageReceived', value: { ...message, from } }, [resource])
  }
}
