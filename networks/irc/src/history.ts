import type { ReceivedMessage } from '@spectrum/network'
import { type Batch, Batches } from './batches.ts'
import { Gap, MAX_PAGES } from './gap.ts'
import { isNick } from './ids.ts'
import { type Line, nickOf, serialiseLine } from './line.ts'
import type { Link } from './link.ts'
import { readMessage } from './message-reader.ts'
import type { Room } from './room.ts'
import { serverTimeOf } from './server-time.ts'

/** Lines of one page where the server names no limit, or a higher one. */
const PAGE_LINES = 1_000
const UNTOLD_LIMIT = 100
/** People whose messages are asked for, and pages of each. */
const MAX_PEOPLE = 50
const MAX_PERSON_PAGES = 2
/** Servers leave out lines said at the very time that is named, and write times in milliseconds. */
const OVERLAP_MS = 2
/** An own line that much younger than the break was said by somebody else who is logged in to the account. */
const OWN_MS = 5_000
/** A line of the past may still come live that long. */
const KNOWN_MS = 30_000
/** Clocks disagree: people who wrote until then by ours. */
const AHEAD_MS = 60_000

/**
 * What was said while the user was away (IRCv3 chathistory): asked for after a return to a channel and told before what comes
 * live, each line with its time and none twice as far as ids tell. Batches that a server sends by itself are told likewise.
 */
export class History {
  readonly #link: Link
  readonly #batches: Batches
  /** People's gaps by folded nick; those of channels are with their rooms. */
  readonly #people = new Map<string, Gap>()
  /** Private messages are held while it is asked who wrote. */
  #private: Gap | undefined
  /** When the last private message came, by the server's clock where it tells. */
  #lastPrivateAt: Date | undefined

  constructor(link: Link) {
    this.#link = link
    this.#lastPrivateAt = link.parts.lastPrivateAt
    this.#batches = new Batches(batch => this.#onBatch(batch), link.parts.count)
  }

  /** The server keeps the past and tells it on demand. */
  get isOffered(): boolean {
    if (!this.#link.isOnline) return false
    const { connection } = this.#link
    const has = (name: string) => connection.hasCapability(name)
    return has('batch') && has('server-time') && (has('draft/chathistory') || has('chathistory'))
  }

  /** True when the line is no news: it frames a batch or is part of one that tells the past. */
  take(line: Line): boolean {
    return this.#batches.take(line, this.#link.host.clock.monotonic())
  }

  /** A live message: true when it waits for the past, or was told as such. */
  holds(message: ReceivedMessage, room: Room | undefined): boolean {
    const isPrivate = message.chat.kind !== 'room'
    const gap = isPrivate ? this.#private : room?.gap
    if (isPrivate) this.#lastPrivateAt = message.saidAt ?? new Date(this.#link.host.clock.now())
    if (gap === undefined) return false
    if (gap.isTold(message.id)) {
      this.#count('history-known')
      return true
    }
    if (!gap.isOpen) return false
    if (!gap.hold(message)) this.#count('message-before-joined')
    return true
  }

  /** The join is complete. True when what was missed is asked for: what the room holds is told after it. */
  fill(room: Room): boolean {
    const after = room.past?.history?.after
    if (after === undefined || !this.isOffered) return false
    const gap = new Gap(room.name, after, this.#reference(after.id), () => this.#late(gap, room))
    room.gap = gap
    for (const message of room.held.splice(0)) gap.hold(message)
    this.#ask(gap, room)
    return true
  }

  /** Who has written to the user since the last private message that came before this connection. */
  askPrivate(): void {
    const lastPrivateAt = this.#lastPrivateAt
    this.#lastPrivateAt ??= new Date(this.#link.host.clock.now())
    if (lastPrivateAt === undefined || !this.isOffered) return
    const gap = new Gap('*', { at: lastPrivateAt }, 'timestamp', () => this.#late(gap, undefined))
    this.#private = gap
    const from = new Date(lastPrivateAt.getTime() - OVERLAP_MS).toISOString()
    const to = new Date(this.#link.host.clock.now() + AHEAD_MS).toISOString()
    this.#send(gap, undefined, ['TARGETS', `timestamp=${from}`, `timestamp=${to}`, String(MAX_PEOPLE)])
  }

  /** FAIL CHATHISTORY: of the target that it names, else of what was asked first. */
  failed({ params: [command, , ...context] }: Line): void {
    if (command !== 'CHATHISTORY') return
    const names = context.map(name => this.#link.fold(name))
    const gaps = this.#open()
    const [gap, room] = gaps.find(([{ target }]) => names.includes(this.#link.fold(target))) ?? gaps[0] ?? []
    if (gap === undefined) return
    if (gap.by === 'msgid') return this.#askByTime(gap, room)
    this.#count('history-refused')
    this.#settle(gap, room)
  }

  /** The server has not got the command after all. */
  unknown(): void {
    for (const [gap, room] of this.#open()) {
      this.#count('history-refused')
      this.#settle(gap, room)
    }
  }

  tick(): void {
    const now = this.#link.host.clock.monotonic()
    this.#batches.tick(now)
    const isPast = (gap: Gap | undefined) => gap !== undefined && !gap.isOpen && now - gap.closedAt > KNOWN_MS
    for (const room of this.#link.rooms.values()) if (isPast(room.gap)) room.gap = undefined
    if (isPast(this.#private)) this.#private = undefined
  }

  /** The connection is over. */
  close(): void {
    this.#batches.clear()
    // What was held is not told any more: the next connection asks from where this one did.
    if (this.#private?.isOpen) this.#lastPrivateAt = new Date(this.#private.at)
    this.#private?.close()
    for (const gap of this.#people.values()) gap.close()
    this.#people.clear()
    this.#private = undefined
  }

  // ---- asking

  #reference(id: string | undefined): Gap['by'] {
    const known = this.#link.connection.isupport.historyReferences
    return id !== undefined && known.includes('msgid') ? 'msgid' : 'timestamp'
  }

  get #limit(): number {
    const max = this.#link.connection.isupport.maxHistory
    return max === undefined ? UNTOLD_LIMIT : max === 0 ? PAGE_LINES : Math.min(max, PAGE_LINES)
  }

  #ask(gap: Gap, room: Room | undefined): void {
    const time = new Date(gap.at - OVERLAP_MS)
    const from = gap.by === 'msgid' ? `msgid=${gap.id}` : `timestamp=${time.toISOString()}`
    this.#send(gap, room, ['AFTER', gap.target, from, String(this.#limit)])
  }

  #askByTime(gap: Gap, room: Room | undefined): void {
    gap.by = 'timestamp'
    this.#ask(gap, room)
  }

  #send(gap: Gap, room: Room | undefined, params: readonly string[]): void {
    const { outbox } = this.#link.connection
    try {
      const sent = outbox.send(serialiseLine('CHATHISTORY', params))
      if (sent === undefined) return gap.asked()
      gap.waits()
      // The connection's end closes the gap.
      sent.then(
        () => gap.asked(),
        () => this.#count('line-not-sent'),
      )
    } catch {
      // An id that no line can carry; or too much waits to be sent.
      this.#count('history-refused')
      this.#settle(gap, room)
    }
  }

  #late(gap: Gap, room: Room | undefined): void {
    if (!gap.isOpen) return
    this.#count('history-timed-out')
    const key = this.#link.fold(gap.target)
    gap.pages = MAX_PAGES
    this.#batches.giveUp(target => this.#link.fold(target) === key)
    if (gap.isOpen) this.#settle(gap, room)
  }

  // ---- what comes

  #onBatch(batch: Batch): void {
    if (batch.type.endsWith('-targets')) return this.#onTargets(batch)
    const room = this.#link.roomNamed(batch.target)
    const person = this.#people.get(this.#link.fold(batch.target))
    if (room?.gap?.isOpen) this.#onPage(room.gap, room, batch)
    else if (person?.isOpen) this.#onPage(person, undefined, batch)
    else if (room) this.#onOwnAccord(room, batch)
    else this.#drop('history-not-asked-for', batch.lines.length)
  }

  #onTargets({ lines }: Batch): void {
    const all = this.#private
    if (all === undefined || !all.isOpen) return this.#drop('history-not-asked-for', lines.length)
    const { isupport } = this.#link.connection
    for (const { command, params } of lines) {
      const [word, nick = ''] = params
      if (command !== 'CHATHISTORY' || word !== 'TARGETS' || !isNick(nick) || isupport.isChannel(nick)) continue
      const key = this.#link.fold(nick)
      if (this.#people.has(key) || key === this.#link.ownKey || this.#people.size >= MAX_PEOPLE) continue
      const gap = new Gap(nick, { at: new Date(all.at) }, 'timestamp', () => this.#late(gap, undefined))
      this.#people.set(key, gap)
    }
    // It stays open, and live messages wait, until the last of them is closed.
    all.waits()
    for (const gap of [...this.#people.values()]) this.#ask(gap, undefined)
    if (this.#people.size === 0) this.#settle(all, undefined)
  }

  #onPage(gap: Gap, room: Room | undefined, { lines, isEnd }: Batch): void {
    let fresh = 0
    let isCaughtUp = false
    gap.nextPage()
    for (const line of lines) {
      const message = this.#read(line)
      if (message === undefined) continue
      const { id, at } = message
      if (gap.isHeld(id) || (room === undefined && this.#private?.isHeld(id))) isCaughtUp = true
      else if (gap.isTold(id) || gap.isBefore(at)) this.#count('history-known')
      else {
        fresh++
        this.#tell(message, gap, room)
      }
      gap.told(id)
      gap.id = id
      gap.at = Math.max(gap.at, at.getTime())
    }
    // An id that the server has forgotten looks like the end of the past.
    if (lines.length === 0 && gap.pages === 1 && gap.by === 'msgid') return this.#askByTime(gap, room)
    // Servers count what they leave out, joins and the like: only much less than a whole page is the last one.
    const isLast = isEnd || lines.length < this.#limit / 2
    if (fresh === 0 || isCaughtUp || isLast) return this.#settle(gap, room)
    if (gap.pages >= (room === undefined ? MAX_PERSON_PAGES : MAX_PAGES)) {
      this.#count('history-cut')
      return this.#settle(gap, room)
    }
    if (gap.id === undefined) gap.by = 'timestamp'
    this.#ask(gap, room)
  }

  /** Sent with a join though nobody asked (channel history, bouncers). */
  #onOwnAccord(room: Room, { lines }: Batch): void {
    const { after, maxMessages } = room.past?.history ?? {}
    const messages = lines.map(line => this.#read(line)).filter(message => message !== undefined)
    const wanted = messages.filter(({ id, at }) => {
      const isKnown = after !== undefined && (id === after.id || at.getTime() < after.at.getTime())
      const isHeld = room.held.some(held => held.id !== undefined && held.id === id)
      return !isKnown && !isHeld && !room.gap?.isTold(id)
    })
    this.#drop('history-known', messages.length - wanted.length)
    const isLimited = after === undefined && maxMessages !== undefined
    const told = isLimited ? wanted.slice(Math.max(0, wanted.length - maxMessages)) : wanted
    this.#drop('history-not-wanted', wanted.length - told.length)
    for (const message of told) {
      room.gap?.told(message.id)
      if (after !== undefined && this.#isDoubled(message, room)) this.#count('history-own')
      else if (room.state === 'syncing') room.held.push(message)
      else this.#link.host.emit(message)
    }
  }

  /** A line of the past as a message with its time; `undefined` (and counted) for all that is none. */
  #read(line: Line): (ReceivedMessage & { readonly at: Date }) | undefined {
    const nick = nickOf(line.source)
    const isServer = nick === line.source && nick.includes('.')
    const isMessage = line.command === 'PRIVMSG' || line.command === 'NOTICE'
    const read = isMessage && !isServer ? readMessage(this.#link, line, line.command === 'NOTICE') : undefined
    if (read === undefined || 'ctcp' in read) {
      // CTCP of the past is not answered.
      this.#count('history-other-line')
      return undefined
    }
    const at = serverTimeOf(line) ?? new Date(this.#link.host.clock.now())
    return { ...read.message, at, saidAt: at }
  }

  #tell(message: ReceivedMessage & { readonly at: Date }, gap: Gap, room: Room | undefined): void {
    gap.told(message.id)
    if (room === undefined) this.#private?.told(message.id)
    if (this.#isDoubled(message, room)) this.#count('history-own')
    else this.#link.host.emit(message)
  }

  /**
   * The user's own line: clients saw it when they said it. Only what was said when the connection was certainly gone is
   * somebody else's who uses the account; after a crash nobody knows that time.
   */
  #isDoubled({ from, at }: ReceivedMessage & { readonly at: Date }, room: Room | undefined): boolean {
    const nick = this.#link.fold(from.nick ?? '')
    const before = room?.past?.nick
    const isOwn = nick === this.#link.ownKey || (before !== undefined && nick === this.#link.fold(before))
    if (!isOwn) return false
    const since = room?.past?.history?.since
    if (since === undefined || room === undefined) return true
    return at.getTime() <= since.getTime() + room.aheadMs + OWN_MS
  }

  #settle(gap: Gap, room: Room | undefined): void {
    const held = gap.settle(this.#link.host.clock.monotonic())
    for (const message of held) this.#link.host.emit(message)
    if (room !== undefined || gap === this.#private) return
    this.#people.delete(this.#link.fold(gap.target))
    if (this.#people.size === 0 && this.#private?.isOpen) this.#settle(this.#private, undefined)
  }

  #open(): [Gap, Room | undefined][] {
    const rooms = [...this.#link.rooms.values()].flatMap(room =>
      room.gap?.isOpen ? [[room.gap, room] as [Gap, Room]] : [],
    )
    const people = [...this.#people.values()].map(gap => [gap, undefined] as [Gap, undefined])
    const all: [Gap, undefined][] = this.#private?.isOpen ? [[this.#private, undefined]] : []
    return [...rooms, ...people, ...all]
  }

  #drop(reason: string, times: number): void {
    for (let i = 0; i < times; i++) this.#count(reason)
  }

  #count(reason: string): void {
    this.#link.parts.count(reason)
  }
}
