import { doublesOf, type Entry, isOpen, type Ledger, type Stream, type Verdict } from './ledger.ts'
import type { RoomChange } from './load/load.ts'
import type { Movement } from './load/room-watch.ts'

/** A limit that a result must keep: undefined, or a sentence that says what is missed. */
export type Limit = (result: Result) => string | undefined

/** Which lines for a user may be missing on a network that keeps no history, beside those said while nobody of that user was there. */
export type Gap =
  /** None beside these. */
  | 'none'
  /** What the connection of a killed process had been handed in its last 50 ms, and until the IRC server noticed. */
  | 'killed'
  /** The same, of private lines alone: the network keeps a history of its channels. */
  | 'killed, in private'
  /** Everything from the cut until the user is back, as the old connection still stands and nobody reads it. */
  | 'frozen'

/** What a row says of itself that bears on the judgement. */
export interface Allowance {
  readonly gap?: Gap
  /**
   * Lines to IRC may be missing that the XMPP server never passed on to the gateway; where the connection between them is
   * reset, also those that it passed on in the last moment. Only where somebody reads along on that connection.
   */
  readonly mayMissUnread?: 'server ended' | 'reset'
  /**
   * Lines to XMPP may be told twice that the server had not confirmed when a component stream ended, or only just before it
   * lost its clients. Only where somebody reads along.
   */
  readonly mayRepeat?: 'unconfirmed' | 'uncertain'
}

/** All that was seen of one run. Times in ms of one monotonic clock. */
export interface Observed {
  readonly ledger: Ledger
  /** What the witnesses saw of users since {@link at}. */
  readonly movements: readonly Movement[]
  /** Whoever came and went since shortly before the run, as the witnesses saw. */
  readonly changes: readonly RoomChange[]
  /** What XMPP clients were told of comings and goings. */
  readonly told: readonly (RoomChange & { readonly user: string })[]
  /** How often XMPP clients were told of being out of their room. */
  readonly removals: number
  /** Where there is none nobody's connection is known to have ended: all may have. */
  readonly hasWitness: boolean
  /** When the fault happened, and each moment at which something broke; the same once more is no matter. */
  readonly at: number
  readonly strikes: readonly number[]
  /** When everything was given back, when everybody heard and was heard again, and when nobody spoke any more. */
  readonly end: number
  readonly recoveredAt: number
  readonly stopped: number
}

/** What one run of a fault showed, in figures. Times in ms. */
export interface Figures {
  readonly toIrc: Verdict
  readonly toXmpp: Verdict
  readonly outageP50: number
  readonly outageMax: number
  /** How long the fault was, until everything was given back. */
  readonly faultMs: number
  /** From its end until everybody heard and was heard again. */
  readonly recoveryMs: number
  /** Room lines to XMPP that are missing: of those that are said in private no server keeps any for a nick without an account. */
  readonly missingInRooms: number
  /** QUIT, PART and KICK of users on IRC, and how often XMPP clients were told of being out of their room. */
  readonly departures: number
  readonly removals: number
  /** How often XMPP clients were told that an occupant came or went who, by the witness, did not. */
  readonly noise: number
  /** Some of it, in words. */
  readonly noises: readonly string[]
  /** Doubles of lines that had been handled a second before the fault, or were said after everybody was back: no fault excuses them. */
  readonly strayDoubles: number
  /** The same of lines that did not arrive: excused ones too, where they were said before the fault. */
  readonly strayLosses: number
  /** Lines to IRC of the users who lost their connection that were handled in the last 50 ms before something broke. */
  readonly handledBefore: number
  /** Lines to IRC of those users that were heard between the fault and their coming back. */
  readonly handledDuring: number
  /** Lines to XMPP that were heard in the last 50 ms before something broke. */
  readonly toldBefore: number
  /** Lines to XMPP that were heard and might be told again, as was read along between gateway and XMPP server: see {@link Allowance}. */
  readonly repeatable: number
  /** Doubles to XMPP that this does not explain. */
  readonly confirmedDoubles: number
}

/** The figures, and what cannot be seen in them. */
export interface Result extends Figures {
  readonly fault: string
  /** Lines a second that were said before the fault. */
  readonly linesPerSecond: number
  readonly notes: Readonly<Record<string, string | number>>
  readonly misses: readonly string[]
}

const lastMomentMs = 50
/** How much later than it was handled a line is heard by the witness, and a kill is known here to have happened. */
const transitMs = 25
/** The same by way of the XMPP server: a busy one is still passing on what a dead frontend wrote. The next one takes longer to speak. */
const xmppTransitMs = 250
/** Nothing that was handled so long before a fault is still under way. */
const settledMs = 1_000

const isToIrc = ({ direction }: Stream): boolean => direction === 'to IRC'
const isToXmpp = (stream: Stream): boolean => !isToIrc(stream)
const isPrivate = ({ key }: Stream): boolean => key.startsWith('p')

/** Gives every line that this row allows to be missing its excuse. May be called again when more is known. */
export function excuse(row: Allowance, seen: Observed): void {
  const { gap = 'none', mayMissUnread } = row
  if (gap !== 'none') excuseGaps(gap, seen)
  if (mayMissUnread !== undefined) excuseUnread(seen, mayMissUnread === 'reset' ? lastMomentMs : 0)
}

/** Lines that IRC itself never handed to a living connection of the user: see {@link Gap}. */
function excuseGaps(gap: Gap, { ledger, movements, at, stopped }: Observed): void {
  const gaps = new Map<string, { from: number; until: number }[]>()
  for (const { user, kind, at: left } of movements)
    if (gap !== 'frozen' && kind === 'QUIT') append(gaps, user, { from: at - lastMomentMs, until: left })
  if (gap === 'frozen')
    for (const user of new Set(movements.map(movement => movement.user))) {
      const back = movements.find(({ user: who, kind }) => who === user && (kind === 'JOIN' || kind === 'NICK'))
      // Private lines go to the nick, which the old connection may hold for longer.
      const named = movements.find(({ nick, kind }) => nick === user && (kind === 'JOIN' || kind === 'NICK'))
      append(gaps, user, { from: at - lastMomentMs, until: back?.at ?? stopped })
      append(gaps, `${user} in private`, { from: at - lastMomentMs, until: named?.at ?? stopped })
      const own = movements.filter(movement => movement.user === user)
      for (const gap of movedOn(own, stopped)) for (const key of [user, `${user} in private`]) append(gaps, key, gap)
    }
  for (const { stream, number, entry } of ledger.lines(isToXmpp)) {
    if (gap === 'killed, in private' && !isPrivate(stream)) continue
    const own = gaps.get(isPrivate(stream) && gap === 'frozen' ? `${stream.user} in private` : stream.user) ?? []
    if (own.some(({ from, until }) => entry.takenAt >= from && entry.saidAt <= until))
      ledger.excuse(stream, number, entry.takenAt < at ? 'in flight' : 'not connected')
  }
}

/** When the connection by which a user is back goes as well, and another comes: the old one, still in the channel, hides it from the witness. */
function movedOn(movements: readonly Movement[], stopped: number): { from: number; until: number }[] {
  const gaps: { from: number; until: number }[] = []
  let live: string | undefined
  for (const [index, { kind, nick, at }] of movements.entries()) {
    if (kind === 'JOIN' || kind === 'NICK') live = nick
    else if (nick === live) {
      const next = movements.slice(index).find(later => later.kind === 'JOIN')
      gaps.push({ from: at, until: next?.at ?? stopped })
      live = undefined
    }
  }
  return gaps
}

/** A component stream has no acknowledgements: what had not reached the gateway when it ended is not the gateway's to deliver. */
function excuseUnread({ ledger, strikes, recoveredAt }: Observed, inFlightMs: number): void {
  for (const { stream, number, entry } of ledger.lines(isToIrc)) {
    if (!isOpen(entry)) continue
    const { passedAt, saidAt } = entry
    if (passedAt === 0 && saidAt <= recoveredAt) ledger.excuse(stream, number, 'not passed on')
    else if (isNear(passedAt, strikes, inFlightMs, 0)) ledger.excuse(stream, number, 'in flight')
  }
}

/** The figures of a run whose lines all have their fate. */
export function judge(seen: Observed): Figures {
  const { ledger, movements, at, end, recoveredAt, stopped } = seen
  const outages = ledger.outages(at, stopped)
  const gone = movements.filter(({ kind }) => kind === 'QUIT' || kind === 'PART' || kind === 'KICK')
  let missingInRooms = 0
  for (const { stream, entry } of ledger.lines(isToXmpp))
    if (!isPrivate(stream) && entry.heard === 0 && entry.excuse !== undefined) missingInRooms++
  const noises = noisesOf(seen)
  return {
    toIrc: ledger.judge(isToIrc),
    toXmpp: ledger.judge(isToXmpp),
    outageP50: Math.round(outages[Math.floor(outages.length / 2)] ?? 0),
    outageMax: Math.round(outages.at(-1) ?? 0),
    faultMs: Math.round(end - at),
    recoveryMs: Math.round(recoveredAt - end),
    missingInRooms,
    departures: gone.length,
    removals: seen.removals,
    noise: noises.length,
    noises: noises.slice(0, 10),
    ...strays(seen),
    ...handled(seen),
    toldBefore: toldBefore(seen),
    ...repeats(ledger),
  }
}

/** What may be repeated to IRC: see {@link Figures}. */
function handled({ ledger, movements, hasWitness, strikes, at, stopped }: Observed): {
  handledBefore: number
  handledDuring: number
} {
  const affected = new Set(movements.map(({ user }) => user))
  const back = new Map(movements.filter(({ kind }) => kind === 'JOIN').map(({ user, at: time }) => [user, time]))
  let [handledBefore, handledDuring] = [0, 0]
  for (const { stream, entry } of ledger.lines(isToIrc)) {
    if (hasWitness && !affected.has(stream.user)) continue
    handledBefore += momentsOf(entry, strikes, lastMomentMs, transitMs)
    if (entry.heard > 0 && entry.heardAt > at && entry.heardAt < (back.get(stream.user) ?? stopped)) handledDuring++
  }
  return { handledBefore, handledDuring }
}

/** What may be repeated to XMPP: see {@link Figures}. */
function toldBefore({ ledger, strikes }: Observed): number {
  let count = 0
  for (const { entry } of ledger.lines(isToXmpp))
    count += momentsOf(entry, strikes, lastMomentMs + transitMs, xmppTransitMs)
  return count
}

/** What the XMPP server had not confirmed, and what was repeated besides: see {@link Figures}. */
function repeats(ledger: Ledger): { repeatable: number; confirmedDoubles: number } {
  let [repeatable, confirmedDoubles] = [0, 0]
  for (const { entry } of ledger.lines(isToXmpp)) {
    if (!entry.mayRepeat) confirmedDoubles += doublesOf(entry)
    else if (entry.heard > 0) repeatable++
  }
  return { repeatable, confirmedDoubles }
}

/** What went wrong at a time that no fault explains: see {@link Figures}. */
function strays({ ledger, at, recoveredAt }: Observed): { strayDoubles: number; strayLosses: number } {
  const settledAt = at - settledMs
  let [strayDoubles, strayLosses] = [0, 0]
  for (const { entry } of ledger.lines()) {
    const { saidAt, heard, heardAt, refusal } = entry
    if (heard > 0 && (heardAt < settledAt || saidAt > recoveredAt)) strayDoubles += doublesOf(entry)
    if (heard === 0 && refusal === undefined && (saidAt < settledAt || (isOpen(entry) && saidAt > recoveredAt)))
      strayLosses++
  }
  return { strayDoubles, strayLosses }
}

/**
 * What was told of occupants more often than the witness of their room saw it. Clients need not be told of everything that IRC
 * sees: a user who is signed in again elsewhere has gone nowhere for them.
 */
function noisesOf({ told, changes, hasWitness }: Observed): string[] {
  // The rooms of parrots live and die with the worker: nobody is there to ask who was in them.
  if (!hasWitness) return []
  const keyOf = ({ room, nick, kind }: RoomChange): string => `${room} ${nick} ${kind}`
  const seen = new Map<string, number>()
  for (const change of changes) seen.set(keyOf(change), (seen.get(keyOf(change)) ?? 0) + 1)
  const left = new Map<string, number>()
  const noises: string[] = []
  for (const telling of told) {
    const key = keyOf(telling)
    const own = `${telling.user} ${key}`
    const more = (left.get(own) ?? seen.get(key) ?? 0) - 1
    left.set(own, more)
    if (more < 0)
      noises.push(`${telling.user} was told that ${telling.nick} ${telling.kind === 'join' ? 'came' : 'left'}`)
  }
  return noises
}

/** At how many of these moments it was heard about then: what breaks again and again may repeat a line each time. */
function momentsOf(
  { heard, heardAt, heardAgainAt }: Entry,
  moments: readonly number[],
  beforeMs: number,
  afterMs: number,
): number {
  if (heard === 0) return 0
  const times = [heardAt, ...heardAgainAt]
  return new Set(moments.filter(moment => times.some(time => isNear(time, [moment], beforeMs, afterMs)))).size
}

/** Whether it was so shortly before, or after, one of these moments. */
function isNear(time: number, moments: readonly number[], beforeMs: number, afterMs: number): boolean {
  return moments.some(moment => time > moment - beforeMs && time <= moment + afterMs)
}

function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [item])
  else list.push(item)
}
