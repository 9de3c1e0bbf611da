/** One login that waits for its turn. */
export interface WaitingLogin {
  /** When the user was last active; milliseconds since the epoch. */
  readonly lastActiveMs: number
  /** Orders those who were active at the same time: who came first is first. */
  readonly number: number
  readonly admit: () => void
}

/** A login that was let in. */
export interface LoginTurn {
  /** The host has answered, or the attempt is over; more calls do nothing. */
  answered(): void
}

/** Those who wait to log in to one host, most recently active first. */
export class LoginQueue {
  readonly host: string
  /** When asking for turns makes sense again; monotonic milliseconds. */
  nextAskMs: number
  /** The leader knows of a wish that is not withdrawn yet. */
  isKnown = false
  /** Logins that were let in and are not answered. */
  unanswered = 0
  readonly #waiting: WaitingLogin[] = []

  constructor(host: string, nextAskMs: number) {
    this.host = host
    this.nextAskMs = nextAskMs
  }

  get length(): number {
    return this.#waiting.length
  }

  add(login: WaitingLogin): void {
    this.#waiting.splice(this.#placeOf(login), 0, login)
  }

  /** False when it is not here any more. */
  remove(login: WaitingLogin): boolean {
    const place = this.#placeOf(login)
    if (this.#waiting[place] !== login) return false
    this.#waiting.splice(place, 1)
    return true
  }

  /** When the first so many were last active. */
  first(count: number): number[] {
    return this.#waiting.slice(0, count).map(login => login.lastActiveMs)
  }

  /** Lets the first so many in, as far as there are any; returns how many there were. */
  admit(turns: number): number {
    const admitted = this.#waiting.splice(0, turns)
    for (const login of admitted) login.admit()
    return admitted.length
  }

  /** Where the login is, or belongs. */
  #placeOf({ lastActiveMs, number }: WaitingLogin): number {
    let low = 0
    let high = this.#waiting.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const other = this.#waiting[middle] as WaitingLogin
      const isBefore =
        other.lastActiveMs > lastActiveMs || (other.lastActiveMs === lastActiveMs && other.number < number)
      if (isBefore) low = middle + 1
      else high = middle
    }
    return low
  }
}
