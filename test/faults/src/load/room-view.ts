import { attribute } from './stanza-splitter.ts'

/**
 * Who is in a room as one client knows it from presence: tells who comes and goes while it is in there itself. The list that
 * it is given when it enters (XEP-0045 section 7.2.2) is nobody's coming.
 */
export class RoomView {
  readonly #room: string
  readonly #onChange: (kind: 'join' | 'leave', nick: string, at: number) => void
  readonly #nicks = new Set<string>()
  #isInside = false

  constructor(room: string, onChange: (kind: 'join' | 'leave', nick: string, at: number) => void) {
    this.#room = room
    this.#onChange = onChange
  }

  /** It asks to be let in: what it knew is forgotten, and told anew. */
  enter(): void {
    this.#nicks.clear()
    this.#isInside = false
  }

  onPresence(text: string, at: number): void {
    const from = attribute(text, 'from') ?? ''
    if (!from.startsWith(`${this.#room}/`)) return
    const nick = from.slice(this.#room.length + 1)
    const type = attribute(text, 'type')
    if (type === 'unavailable') {
      // Told twice, as after a crash what was not confirmed is, it is news once.
      if (this.#nicks.delete(nick) && this.#isInside) this.#onChange('leave', nick, at)
      return
    }
    // An error is no presence; what is told of who is there already is a change of show or role.
    if (type !== undefined) return
    const isNew = !this.#nicks.has(nick)
    this.#nicks.add(nick)
    // The own occupant is the last of the list.
    if (/code=["']110["']/.test(text)) this.#isInside = true
    else if (isNew && this.#isInside) this.#onChange('join', nick, at)
  }
}
