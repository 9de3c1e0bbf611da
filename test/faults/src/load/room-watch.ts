import type { IrcLine } from './irc-peer.ts'

/** A user's coming to or going from the channel, as the witness saw it. Time in ms. */
export interface Movement {
  readonly user: string
  readonly nick: string
  readonly kind: 'JOIN' | 'QUIT' | 'PART' | 'KICK' | 'NICK'
  readonly at: number
}

/** Anybody's coming or going under a nick; a new nick is both. */
export interface Change {
  readonly nick: string
  readonly kind: 'join' | 'leave'
  readonly at: number
}

/** Nicks of XMPP users begin with their name: a second connection of the same user has a nick with something after it. */
const userOfNick = (nick: string): string | undefined => /^u\d\d/.exec(nick)?.[0]

/** Who comes to a channel and goes, and who of the XMPP users is there, as told by a plain IRC client that was there before them. */
export class RoomWatch {
  /** Every movement of the XMPP users so far. */
  readonly movements: Movement[] = []
  /** The same of everybody, nick by nick. */
  readonly changes: Change[] = []
  readonly #present = new Map<string, Set<string>>()

  isPresent(user: string): boolean {
    return (this.#present.get(user)?.size ?? 0) > 0
  }

  /** Whether somebody of exactly that nick is there. */
  hasNick(nick: string): boolean {
    return this.#set(nick)?.has(nick) ?? false
  }

  /** Takes note of a line that says who comes or goes; others are ignored. */
  onLine({ nick, command, rest }: IrcLine, at: number): void {
    if (command === 'JOIN') this.#come(nick, 'JOIN', at)
    else if (command === 'QUIT' || command === 'PART') this.#go(nick, command, at)
    else if (command === 'KICK') this.#go(rest.split(' ')[1] ?? '', 'KICK', at)
    else if (command === 'NICK') {
      this.#set(nick)?.delete(nick)
      this.changes.push({ nick, kind: 'leave', at })
      this.#come(rest.replace(/^:/, ''), 'NICK', at)
    }
  }

  #come(nick: string, kind: 'JOIN' | 'NICK', at: number): void {
    this.changes.push({ nick, kind: 'join', at })
    const user = userOfNick(nick)
    if (user === undefined) return
    this.#set(nick)?.add(nick)
    this.movements.push({ user, nick, kind, at })
  }

  #go(nick: string, kind: 'QUIT' | 'PART' | 'KICK', at: number): void {
    this.changes.push({ nick, kind: 'leave', at })
    const user = userOfNick(nick)
    if (user === undefined) return
    this.#set(nick)?.delete(nick)
    this.movements.push({ user, nick, kind, at })
  }

  #set(nick: string): Set<string> | undefined {
    const user = userOfNick(nick)
    if (user === undefined) return undefined
    let set = this.#present.get(user)
    if (set === undefined) {
      set = new Set()
      this.#present.set(user, set)
    }
    return set
  }
}
