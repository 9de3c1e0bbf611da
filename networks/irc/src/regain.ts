import { type Line, nickOf, serialiseLine } from './line.ts'

/** How services call it: Atheme and those like it; Anope; those of old, and Ergo. */
const commands = ['REGAIN', 'RECOVER', 'GHOST'] as const
/** How long a nick service may take to answer; without an answer the nick is asked for all the same. */
const ANSWER_MS = 5_000
/** Services answer in several lines: those that come so soon after the last answer belong to it. */
const TRAILING_MS = 2_000
/** ERR_NOSUCHNICK, ERR_NOSUCHSERVER, ERR_SERVICESDOWN. */
export const absences: ReadonlySet<string> = new Set(['401', '402', '440'])

export interface RegainParts {
  /** The nick service, and the nick that it shall free. */
  readonly service: string
  readonly nick: string
  fold(name: string): string
  say(line: string): void
  /** The user has the nick. */
  isOurs(): boolean
  /** Asks the server for the nick: whether it was given. */
  ask(): Promise<boolean>
  isOver(): boolean
}

/**
 * Takes the user's nick back from a ghost with the nick service's help. Only for a connection that is logged in to the
 * account: that is proof that services exist, and no password need be sent. What the service answers is not the user's
 * business, for it was not the user who asked.
 */
export class Regain {
  readonly #parts: RegainParts
  #answered: (() => void) | undefined
  #endedAt: number | undefined
  #isAbsent = false

  constructor(parts: RegainParts) {
    this.#parts = parts
  }

  /** Tries the commands in turn, each followed by NICK. Fulfils when the nick was got, or none helped. */
  async run(): Promise<void> {
    const { service, nick, say, isOurs, ask, isOver } = this.#parts
    for (const command of commands) {
      if (isOver() || isOurs() || this.#isAbsent) break
      const answer = this.#answer()
      say(serialiseLine('PRIVMSG', [service, `${command} ${nick}`]))
      await answer
      if (isOver() || isOurs() || (await ask())) break
    }
    this.#endedAt = performance.now()
  }

  /** True for an answer to what was asked here, which is told to nobody. */
  takes({ command, source, params }: Line): boolean {
    const { service, fold } = this.#parts
    if (this.#endedAt !== undefined && performance.now() - this.#endedAt > TRAILING_MS) return false
    const isNotice = command === 'NOTICE' && fold(nickOf(source)) === fold(service)
    const isAbsent = absences.has(command) && fold(params[1] ?? '') === fold(service)
    if (isAbsent) this.#isAbsent = true
    if (isNotice || isAbsent || (command === 'NICK' && fold(params[0] ?? '') === fold(this.#parts.nick)))
      this.#answered?.()
    return isNotice || isAbsent
  }

  #answer(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ANSWER_MS).unref()
      this.#answered = () => {
        clearTimeout(timer)
        // Behind the line that is being handled: it may be the NICK itself.
        setImmediate(resolve)
      }
    })
  }
}
