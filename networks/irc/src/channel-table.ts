import { type Member, memberAs } from './member.ts'

/**
 * Who is in a channel, kept once per worker process for all sessions that sit in it on the same server.
 *
 * Each session reads the same news from its own socket, some a moment later than others. So the table is versioned: whoever
 * brings a change first applies it and logs it, the others only move on in the log ({@link View}). A session that sees something
 * else than the log says (a channel that hides people from some, another server's order) gets a table of its own:
 * sharing is an economy, never trusted.
 */
class ChannelTable {
  readonly members: Map<string, Member>
  readonly views = new Set<View>()
  log: Change[] = []
  /** Version of the table before `log[0]`. */
  first = 0
  #trimAt = MIN_LOG

  constructor(members: Map<string, Member>) {
    this.members = members
  }

  get version(): number {
    return this.first + this.log.length
  }

  /** A change nobody has brought before. */
  apply(change: Change, keepLog: boolean): void {
    if (change.before) this.members.delete(change.before.key)
    if (change.after) this.members.set(change.after.key, change.after)
    this.log.push(change)
    if (!keepLog && this.views.size === 1) {
      this.first += this.log.length
      this.log = []
    } else if (this.log.length >= this.#trimAt) this.#trim(keepLog)
  }

  /** Forgets what every view has behind it; a view too far behind gets its own table. */
  #trim(keepLog: boolean): void {
    let oldest = keepLog ? this.first : this.version
    for (const view of this.views) oldest = Math.min(oldest, view.position)
    if (this.version - oldest > MAX_LOG) {
      const limit = this.version - MAX_LOG / 2
      for (const view of [...this.views]) if (view.position < limit) view.fork()
      oldest = limit
    }
    this.log.splice(0, oldest - this.first)
    this.first = oldest
    this.#trimAt = Math.max(MIN_LOG, this.log.length * 2)
  }

  /** What the keys touched since `position` were then. */
  #then(position: number): Map<string, Member | undefined> {
    const then = new Map<string, Member | undefined>()
    for (let i = position - this.first; i < this.log.length; i++) {
      const { before, after } = this.log[i] ?? {}
      if (before && !then.has(before.key)) then.set(before.key, before)
      if (after && !then.has(after.key)) then.set(after.key, undefined)
    }
    return then
  }

  get(key: string, position: number): Member | undefined {
    for (let i = position - this.first; i < this.log.length; i++) {
      const { before, after } = this.log[i] ?? {}
      if (before?.key === key) return before
      if (after?.key === key) return undefined
    }
    return this.members.get(key)
  }

  sizeAt(position: number): number {
    let size = this.members.size
    for (let i = position - this.first; i < this.log.length; i++) {
      if (this.log[i]?.before) size += 1
      if (this.log[i]?.after) size -= 1
    }
    return size
  }

  membersAt(position: number): Map<string, Member> {
    if (position === this.version) return this.members
    const members = new Map(this.members)
    for (let i = this.log.length - 1; i >= position - this.first; i--) {
      const { before, after } = this.log[i] ?? {}
      if (after) members.delete(after.key)
      if (before) members.set(before.key, before)
    }
    return members
  }

  /** Whether exactly these were there at that version. */
  isAt(position: number, members: ReadonlyMap<string, Member>): boolean {
    if (this.sizeAt(position) !== members.size) return false
    const then = this.#then(position)
    for (const [key, member] of members) {
      const ours = then.has(key) ? then.get(key) : this.members.get(key)
      if (ours === undefined || ours.nick !== member.nick || ours.modes !== member.modes) return false
    }
    return true
  }

  /** The version at which a newcomer who was given that list stands, if this table has it. */
  find(members: ReadonlyMap<string, Member>, own: string, keepLog: boolean): number | undefined {
    for (let i = this.log.length - 1; i >= 0; i--) {
      const change = this.log[i]
      if (change?.after?.key !== own || change.before) continue
      // Somebody else saw this join; modes given with it may follow it in the log.
      for (let at = i + 1; at <= Math.min(i + 8, this.log.length); at++) {
        if (this.isAt(this.first + at, members)) return this.first + at
      }
      return undefined
    }
    if (this.isAt(this.version, members)) return this.version
    const self = members.get(own)
    if (self === undefined || this.members.has(own) || this.members.size + 1 !== members.size) return undefined
    const others = new Map(members)
    others.delete(own)
    if (!this.isAt(this.version, others)) return undefined
    this.apply({ before: undefined, after: self }, keepLog || this.views.size > 0)
    return this.version
  }
}

const MIN_LOG = 64
const MAX_LOG = 4096

interface Change {
  readonly before: Member | undefined
  readonly after: Member | undefined
}

const isSame = (a: Member | undefined, b: Member | undefined): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    a.nick === b.nick &&
    a.modes === b.modes &&
    a.away === b.away &&
    a.account === b.account)

/** One session's sight of a channel: all that it was told, and nothing that it was not told yet. */
export class View {
  #table: ChannelTable
  #entry: Entry | undefined
  /** How far this session has come in the table's log. */
  position: number

  constructor(table: ChannelTable, position: number, entry?: Entry) {
    this.#table = table
    this.#entry = entry
    this.position = position
    table.views.add(this)
  }

  /** A sight of nobody, not shared with anybody. */
  static empty(): View {
    return new View(new ChannelTable(new Map()), 0)
  }

  get(key: string): Member | undefined {
    return this.#table.get(key, this.position)
  }

  get size(): number {
    return this.#table.sizeAt(this.position)
  }

  /** Everybody in sight. Do not change anything while iterating. */
  members(): Iterable<Member> {
    return this.#table.membersAt(this.position).values()
  }

  add(member: Member): Member {
    const before = this.get(member.key)
    if (before && isSame(before, member)) return before
    return this.#advance({ before, after: member }).after ?? member
  }

  /** Returns who it was; `undefined` when nobody of that name is in sight. */
  remove(key: string): Member | undefined {
    const before = this.get(key)
    return before && (this.#advance({ before, after: undefined }).before ?? before)
  }

  /** Returns the new record; `undefined` when nobody of that name is in sight. */
  change(
    key: string,
    fields: Partial<Pick<Member, 'key' | 'nick' | 'modes' | 'away' | 'account' | 'user'>>,
  ): Member | undefined {
    const before = this.get(key)
    if (before === undefined) return undefined
    const after = memberAs(before, fields)
    if (isSame(before, after)) return before
    return this.#advance({ before, after }).after ?? after
  }

  /** Leaves the shared table, keeping what is in sight; the two may be merged again when they agree. */
  fork(): void {
    const members = new Map(this.#table.membersAt(this.position))
    const table = new ChannelTable(members)
    this.#entry?.tables.add(table)
    this.close()
    this.#table = table
    table.views.add(this)
    this.position = 0
  }

  close(): void {
    this.#table.views.delete(this)
    if (this.#table.views.size === 0) this.#entry?.drop(this.#table)
  }

  /** For the registry: all that is in sight, and moving to another table. */
  get all(): ReadonlyMap<string, Member> {
    return this.#table.membersAt(this.position)
  }

  move(table: ChannelTable): void {
    this.#table.views.delete(this)
    this.#table = table
    this.position = table.version
    table.views.add(this)
  }

  /** What any session learnt of the channel itself, so that not each has to ask. A hint: the news of each session count. */
  get hint(): ChannelHint | undefined {
    return this.#entry?.hint
  }

  #advance(change: Change): Change {
    const table = this.#table
    if (this.position < table.version) {
      const expected = table.log[this.position - table.first]
      if (expected && isSame(expected.before, change.before) && isSame(expected.after, change.after)) {
        this.position += 1
        return expected
      }
      this.fork()
      return this.#advance(change)
    }
    // Before applying: trimming looks at every view's position.
    this.position += 1
    table.apply(change, (this.#entry?.waiting ?? 0) > 0)
    return change
  }
}

export interface ChannelHint {
  modes: string | undefined
  limit: number | undefined
}

class Entry {
  readonly hint: ChannelHint = { modes: undefined, limit: undefined }
  readonly tables = new Set<ChannelTable>()
  /** Sessions that have asked to join and will look for their place in the log. */
  waiting = 0
  readonly #forget: () => void

  constructor(forget: () => void) {
    this.#forget = forget
  }

  drop(table: ChannelTable): void {
    this.tables.delete(table)
    this.forgetIfIdle()
  }

  forgetIfIdle(): void {
    if (this.tables.size === 0 && this.waiting === 0) this.#forget()
  }
}

/** A session's intention to join: the table keeps its log until it is taken up or given up. */
export interface Ticket {
  /** The shared sight for a list of members that the server gave; `own` is the key of the session's own nick. */
  attach(members: ReadonlyMap<string, Member>, own: string): View
  cancel(): void
}

/** All channel tables of a worker process. `scope` names the server connection and its way of comparing names. */
export class ChannelTables {
  readonly #entries = new Map<string, Entry>()

  expect(scope: string, channel: string): Ticket {
    const key = `${scope} ${channel}`
    const entry: Entry = this.#entries.get(key) ?? new Entry(() => this.#forget(key, entry))
    this.#entries.set(key, entry)
    entry.waiting += 1
    let isOpen = true
    const close = (): void => {
      if (isOpen) entry.waiting -= 1
      isOpen = false
    }
    return {
      attach: (members, own) => {
        const view = attach(entry, members, own)
        close()
        return view
      },
      cancel: () => {
        close()
        entry.forgetIfIdle()
      },
    }
  }

  #forget(key: string, entry: Entry): void {
    if (this.#entries.get(key) === entry) this.#entries.delete(key)
  }

  /** Lets tables that have become equal be one again. Cheap when there is nothing to do. */
  merge(): void {
    for (const entry of this.#entries.values()) if (entry.tables.size > 1) mergeTables(entry)
  }

  /** Tables and member records held, for metrics and tests. */
  get counts(): { readonly channels: number; readonly tables: number; readonly members: number } {
    let tables = 0
    let members = 0
    for (const entry of this.#entries.values()) {
      tables += entry.tables.size
      for (const table of entry.tables) members += table.members.size
    }
    return { channels: this.#entries.size, tables, members }
  }
}

function attach(entry: Entry, members: ReadonlyMap<string, Member>, own: string): View {
  for (const table of entry.tables) {
    const position = table.find(members, own, entry.waiting > 0)
    if (position !== undefined) return new View(table, position, entry)
  }
  const table = new ChannelTable(new Map(members))
  // The newest table first: it is the likeliest to fit the next newcomer.
  const others = [...entry.tables]
  entry.tables.clear()
  for (const each of [table, ...others]) entry.tables.add(each)
  return new View(table, table.version, entry)
}

function mergeTables(entry: Entry): void {
  const [into, ...others] = [...entry.tables].sort((a, b) => b.views.size - a.views.size)
  if (into === undefined) return
  for (const table of others) {
    const isSettled = [...table.views].every(view => view.position === table.version)
    if (!isSettled || table.members.size !== into.members.size) continue
    if (![...table.members].every(([key, member]) => isSame(member, into.members.get(key)))) continue
    for (const view of [...table.views]) view.move(into)
    entry.tables.delete(table)
  }
}
