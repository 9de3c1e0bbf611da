import { setTimeout as delay } from 'node:timers/promises'
import { Ledger, type Stream } from '../ledger.ts'
import { type IrcLine, IrcPeer } from './irc-peer.ts'
import { type Change, type Movement, RoomWatch } from './room-watch.ts'
import { attribute } from './stanza-splitter.ts'
import { XmppPeer } from './xmpp-peer.ts'

/** Where the load connects to. */
export interface LoadTarget {
  readonly clientPort: number
  readonly domain: string
  readonly gateway: string
  /** Absent where the network is not IRC but parrots, who repeat what is said to them. */
  readonly ircPort: number | undefined
  addUser(name: string, password: string): Promise<void>
}

/** How much is said. */
export interface LoadRates {
  /** Lines a second of each user in the room: each is heard by ten people. */
  readonly room: number
  /** Lines a second of the plain IRC speaker of each room. */
  readonly speaker: number
  /** Lines a second of each half of each private pair. */
  readonly pair: number
}

/** What somebody was told of an occupant of a room, or the witness of that room saw. */
export interface RoomChange extends Change {
  readonly room: number
}

const userCount = 50
const roomCount = 5

/** 50 × 0.6 + 5 × 6 + 100 × 4.6 = 520 lines a second. */
export const usualRates: LoadRates = { room: 0.6, speaker: 6, pair: 4.6 }

const names = Array.from({ length: userCount }, (_, index) => `u${String(index).padStart(2, '0')}`)

/** Somebody who says a line whenever one is due. */
interface Source {
  readonly intervalMs: number
  dueAt: number
  speak(): void
}

/** A message of ours somewhere in an XMPP stanza or an IRC line: run, stream key, number. */
const lineId = /(\d+)\.([usp]\d+[rp]?)\.(\d+)/

const pair = (user: string): string => `p${user.slice(1)}`

/**
 * Fifty XMPP users, each in one of five rooms and in a private talk with a plain IRC client; in each room a plain speaker and a
 * plain witness. All say numbered lines, and a ledger is kept of what is said and heard.
 */
export class Load implements AsyncDisposable {
  readonly users: XmppPeer[] = []
  readonly watches: RoomWatch[] = []
  /** What the XMPP side was told of being removed from a room. */
  readonly removals: { user: string; at: number; text: string }[] = []
  /** What XMPP users were told of others who came and went. */
  readonly told: (RoomChange & { readonly user: string })[] = []
  /** Ids and conditions of error stanzas that answer no line of the load. */
  readonly errors: { user: string; id: string; condition: string }[] = []
  readonly #target: LoadTarget
  readonly #resources = new AsyncDisposableStack()
  readonly #speakers: IrcPeer[] = []
  readonly #pairs = new Map<string, IrcPeer>()
  readonly #streams = new Map<string, Stream>()
  /** When the youngest line was said that was heard of and by each user. */
  readonly #lastHeard = new Map<string, { toIrc: number; toXmpp: number }>()
  /** PINGs behind private lines: the answer tells that the line was taken, unless an error came before it. */
  readonly #asked = new Map<string, number[]>()
  #sources: Source[] = []
  #ledger = new Ledger()
  #run = 0
  #numbers = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined

  private constructor(target: LoadTarget) {
    this.#target = target
  }

  /** Connects everybody; fulfils when all are in their rooms. */
  static async connect(target: LoadTarget): Promise<Load> {
    const load = new Load(target)
    try {
      await load.#connect()
      return load
    } catch (error) {
      await load[Symbol.asyncDispose]()
      throw error
    }
  }

  get ledger(): Ledger {
    return this.#ledger
  }

  /** Lines said in this run so far. */
  get spoken(): number {
    return [...this.#numbers.values()].reduce((sum, number) => sum + number, 0)
  }

  /** Every movement of users in the channels since then. */
  movementsSince(at: number): Movement[] {
    return this.watches.flatMap(watch => watch.movements.filter(movement => movement.at >= at))
  }

  /** Whoever came and went since then, as the witnesses saw. */
  changesSince(at: number): RoomChange[] {
    return this.watches.flatMap(({ changes }, room) =>
      changes.filter(change => change.at >= at).map(change => ({ ...change, room })),
    )
  }

  /** Begins to talk, with a fresh ledger. */
  start(rates: LoadRates = usualRates): void {
    this.#run++
    this.#ledger = new Ledger()
    this.#numbers.clear()
    this.removals.length = 0
    this.errors.length = 0
    this.told.length = 0
    const begun = performance.now()
    this.#sources = this.#speaking(rates).map(({ perSecond, speak }, index) => ({
      intervalMs: 1000 / perSecond,
      // Spread over the interval by the golden section, so that the load is even, and that of each backend too.
      dueAt: begun + ((index * 0.618034) % 1) * (1000 / perSecond),
      speak,
    }))
    this.#timer = setInterval(() => this.#tick(), 5)
  }

  /** Nobody says anything any more; what is under way still arrives. */
  stop(): void {
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** A plain IRC client says this to the first user, who need not hear it. */
  poison(text: string): void {
    const [user] = this.users
    if (user) this.#pairs.get(user.name)?.send(`PRIVMSG ${user.name} :${text}`)
  }

  /** Every XMPP user says that many long lines to its private partner, over that time. */
  async burst(lines: number, paddingBytes: number, overMs: number): Promise<void> {
    for (let line = 0; line < lines; line++) {
      const padding = ` ${'x'.repeat(paddingBytes)}`
      for (const user of this.users) this.#fromXmpp(user, `${user.name}p`, this.#partnerOf(user), 'chat', padding)
      await delay(overMs / lines)
    }
  }

  /** The users of whom nothing was heard that they said since then, or who heard nothing of the kind, or are not in their room. */
  silentSince(at: number): string[] {
    return this.users
      .filter(user => {
        const last = this.#lastHeard.get(user.name)
        return !user.isJoined || last === undefined || last.toIrc < at || last.toXmpp < at
      })
      .map(({ name }) => name)
  }

  /** Makes one more user, who registers, comes in, and goes again. */
  async acquaint(name: string): Promise<void> {
    await this.#target.addUser(name, name)
    await using peer = this.#peer(name, 0)
    await peer.start()
  }

  /** That user comes again, and takes no part in the talking. Fulfils in the room; nothing is asked twice. */
  async welcome(name: string): Promise<void> {
    const peer = this.#resources.use(this.#peer(name, 0))
    await peer.start({ isRegistered: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    await this.#resources.disposeAsync()
  }

  async #connect(): Promise<void> {
    const { ircPort } = this.#target
    if (ircPort !== undefined) await this.#connectIrc(ircPort)
    await inGroups(names, 10, async name => {
      await this.#target.addUser(name, name)
      const peer = this.#peer(name, Number(name.slice(1)) % roomCount)
      this.users.push(this.#resources.use(peer))
      this.#lastHeard.set(name, { toIrc: 0, toXmpp: 0 })
      await peer.start()
    })
    this.users.sort((a, b) => a.name.localeCompare(b.name))
  }

  async #connectIrc(ircPort: number): Promise<void> {
    for (let index = 0; index < roomCount; index++) {
      const watch = new RoomWatch()
      this.watches.push(watch)
      const channel = `#room${index}`
      const onLine = (line: IrcLine, at: number): void => this.#onChannel(index, line, at)
      this.#resources.use(await IrcPeer.connect({ port: ircPort, nick: `w${index}`, channel, onLine }))
      const speaker = await IrcPeer.connect({ port: ircPort, nick: `s${index}`, channel, onLine: () => undefined })
      this.#speakers.push(this.#resources.use(speaker))
    }
    await inGroups(names, 10, async name => {
      const nick = pair(name)
      const onLine = (line: IrcLine, at: number): void => this.#onPair(name, line, at)
      this.#pairs.set(name, this.#resources.use(await IrcPeer.connect({ port: ircPort, nick, onLine })))
    })
  }

  #peer(name: string, room: number): XmppPeer {
    const { clientPort, domain, gateway } = this.#target
    return new XmppPeer({
      ...{ port: clientPort, domain, name, password: name, gateway, room: `#room${room}@${gateway}` },
      // Whoever takes no part is not asked what he heard.
      onMessage: (text, at) => this.#lastHeard.has(name) && this.#onXmpp(name, text, at),
      onRemoved: text => this.removals.push({ user: name, at: performance.now(), text }),
      onOccupant: (kind, nick, at) => this.told.push({ user: name, room, kind, nick, at }),
      onUnconfirmed: id => {
        const said = this.#read(id)
        if (said) this.#ledger.excuse(this.#stream(said.key, 'irc', name), said.number, 'never taken')
      },
    })
  }

  #speaking(rates: LoadRates): { perSecond: number; speak: () => void }[] {
    const { gateway, ircPort } = this.#target
    if (ircPort === undefined)
      return this.users.map(user => ({
        perSecond: rates.pair,
        speak: () => this.#fromXmpp(user, `${user.name}p`, this.#partnerOf(user), 'chat'),
      }))
    const list: { perSecond: number; speak: () => void }[] = []
    this.users.forEach(user => {
      const { name } = user
      const room = `#room${Number(name.slice(1)) % roomCount}@${gateway}`
      list.push({ perSecond: rates.room, speak: () => this.#fromXmpp(user, `${name}r`, room, 'groupchat') })
      list.push({
        perSecond: rates.pair,
        speak: () => this.#fromXmpp(user, `${name}p`, this.#partnerOf(user), 'chat'),
      })
      list.push({ perSecond: rates.pair, speak: () => this.#privately(name) })
    })
    this.#speakers.forEach((speaker, index) => {
      // What is expected of whom is said when the witness hears it.
      const speak = (): void => speaker.send(`PRIVMSG #room${index} :${this.#next(`s${index}`)}`)
      list.push({ perSecond: rates.speaker, speak })
    })
    return list
  }

  #tick(): void {
    const now = performance.now()
    for (const source of this.#sources) {
      if (source.dueAt > now) continue
      source.speak()
      // What this process is late with is not caught up in a burst.
      source.dueAt = Math.max(source.dueAt + source.intervalMs, now - source.intervalMs)
    }
  }

  #next(key: string): string {
    const number = (this.#numbers.get(key) ?? 0) + 1
    this.#numbers.set(key, number)
    return `${this.#run}.${key}.${number}`
  }

  #partnerOf({ name }: XmppPeer): string {
    const { gateway, ircPort } = this.#target
    return `${ircPort === undefined ? 'polly' : pair(name)}@${gateway}`
  }

  #fromXmpp(user: XmppPeer, key: string, to: string, type: 'chat' | 'groupchat', padding = ''): void {
    if (!user.isJoined) return
    const id = this.#next(key)
    this.#ledger.said(this.#stream(key, 'irc', user.name), Number(id.slice(id.lastIndexOf('.') + 1)), performance.now())
    user.sendMessage(to, type, id, padding)
  }

  #privately(user: string): void {
    const key = pair(user)
    const peer = this.#pairs.get(user)
    if (peer === undefined) return
    const id = this.#next(key)
    const number = Number(id.slice(id.lastIndexOf('.') + 1))
    this.#ledger.said(this.#stream(key, user, user), number, performance.now())
    let asked = this.#asked.get(user)
    if (asked === undefined) {
      asked = []
      this.#asked.set(user, asked)
    }
    asked.push(number)
    peer.send(`PRIVMSG ${user} :${id}`, `PING ${this.#run}.${number}`)
  }

  /** The witness of a room heard a line, or saw somebody come or go. */
  #onChannel(room: number, line: IrcLine, at: number): void {
    const watch = this.watches[room]
    if (watch === undefined) return
    if (line.command !== 'PRIVMSG') return watch.onLine(line, at)
    const said = this.#read(line.rest)
    if (said === undefined) return
    const { key, number } = said
    const speaker = key.startsWith('u') ? key.slice(0, 3) : undefined
    if (speaker !== undefined) this.#heardOnIrc(key, speaker, number, at)
    for (const { name } of this.users) {
      if (name === speaker || Number(name.slice(1)) % roomCount !== room) continue
      const stream = this.#stream(key, name, name)
      this.#ledger.said(stream, number, at)
      if (!watch.isPresent(name)) this.#ledger.excuse(stream, number, 'not connected')
    }
  }

  #onPair(user: string, line: IrcLine, at: number): void {
    const asked = this.#asked.get(user)
    if (line.command === 'PONG') {
      const number = asked?.shift()
      if (number !== undefined) this.#ledger.taken(this.#stream(pair(user), user, user), number, at)
    } else if (line.command === '401' || line.command === '403' || line.command === '404') {
      const number = asked?.[0]
      if (number !== undefined) this.#ledger.refused(this.#stream(pair(user), user, user), number, line.command)
    } else if (line.command === 'PRIVMSG') {
      const said = this.#read(line.rest)
      if (said !== undefined) this.#heardOnIrc(said.key, user, said.number, at)
    }
  }

  #heardOnIrc(key: string, user: string, number: number, at: number): void {
    const saidAt = this.#ledger.heard(this.#stream(key, 'irc', user), number, at)
    const last = this.#lastHeard.get(user)
    if (last) last.toIrc = Math.max(last.toIrc, saidAt)
    // A parrot repeats it to the user alone.
    if (last && this.#target.ircPort === undefined) last.toXmpp = last.toIrc
  }

  #onXmpp(name: string, text: string, at: number): void {
    const said = this.#read(text)
    if (/^<message[^>]*\stype=["']error["']/.test(text)) {
      const condition = /<error[^>]*>(?:<text[^>]*>[^<]*<\/text>)?<([a-z-]+)/.exec(text)?.[1] ?? 'unknown'
      if (said === undefined) this.errors.push({ user: name, id: attribute(text, 'id') ?? '', condition })
      else if (said.key.startsWith(name))
        this.#ledger.refused(this.#stream(said.key, 'irc', name), said.number, condition)
      return
    }
    if (said === undefined) return
    // One's own line, reflected by a room; a parrot repeats it, and that is what is waited for.
    if (said.key.startsWith(name)) {
      if (this.#target.ircPort !== undefined) return
      this.#heardOnIrc(said.key, name, said.number, at)
      return
    }
    const saidAt = this.#ledger.heard(this.#stream(said.key, name, name), said.number, at)
    const last = this.#lastHeard.get(name)
    if (last) last.toXmpp = Math.max(last.toXmpp, saidAt)
  }

  /** A stanza that the XMPP server confirmed to have taken from the gateway before it was killed. */
  excuseConfirmed(user: string, text: string): void {
    const said = this.#read(text)
    if (said === undefined || said.key.startsWith(user)) return
    this.#ledger.excuse(this.#stream(said.key, user, user), said.number, 'confirmed, unread')
  }

  /** A stanza for this user that may be told again. */
  mayRepeat(user: string, text: string): void {
    const said = this.#read(text)
    if (said !== undefined) this.#ledger.mayRepeat(this.#stream(said.key, user, user), said.number)
  }

  /** A stanza that left the XMPP server for the gateway. */
  passedOn(text: string, at: number): void {
    const said = this.#read(text)
    if (said?.key.startsWith('u'))
      this.#ledger.passed(this.#stream(said.key, 'irc', said.key.slice(0, 3)), said.number, at)
  }

  #stream(key: string, listener: string, user: string): Stream {
    const name = `${key}>${listener}`
    let stream = this.#streams.get(name)
    if (stream === undefined) {
      stream = { key: name, direction: listener === 'irc' ? 'to IRC' : 'to XMPP', user }
      this.#streams.set(name, stream)
    }
    return stream
  }

  /** What line of this run a text holds. */
  #read(text: string): { key: string; number: number } | undefined {
    const match = lineId.exec(text)
    if (match === null || Number(match[1]) !== this.#run) return undefined
    return { key: match[2] as string, number: Number(match[3]) }
  }
}

async function inGroups<T>(items: readonly T[], size: number, work: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += size) await Promise.all(items.slice(at, at + size).map(work))
}
