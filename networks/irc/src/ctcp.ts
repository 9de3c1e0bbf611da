import type { Clock, Host } from '@spectrum/network'

const DELIM = '\x01'
/** Answers at once, and seconds until one more is allowed. */
const BURST = 3
const SECONDS_EACH = 5

/** A client-to-client command: its word in upper case, and the rest. */
export interface Ctcp {
  readonly command: string
  readonly text: string
}

/** `undefined` for an ordinary message. The closing delimiter may be missing. */
export function parseCtcp(raw: string): Ctcp | undefined {
  if (raw.charCodeAt(0) !== 1) return undefined
  const end = raw.length > 1 && raw.endsWith(DELIM) ? raw.length - 1 : raw.length
  const body = raw.slice(1, end)
  const space = body.indexOf(' ')
  return space < 0
    ? { command: body.toUpperCase(), text: '' }
    : { command: body.slice(0, space).toUpperCase(), text: body.slice(space + 1) }
}

export const formatCtcp = (command: string, text: string): string =>
  `${DELIM}${command}${text === '' ? '' : ` ${text}`}${DELIM}`

/** Bytes that `ACTION` adds to a text. */
export const ACTION_BYTES = formatCtcp('ACTION', 'x').length - 1

/** The answer to a query, or `undefined` for one that is not answered. */
export function answerCtcp({ command, text }: Ctcp, host: Pick<Host, 'product' | 'clock'>): string | undefined {
  const { name, version, contact } = host.product
  if (command === 'VERSION')
    return formatCtcp(command, `${name} ${version}${contact === undefined ? '' : ` (${contact})`}`)
  if (command === 'PING') return formatCtcp(command, text.replace(/[\0-\x1f\x7f]/g, '').slice(0, 64))
  if (command === 'TIME') return formatCtcp(command, new Date(host.clock.now()).toUTCString())
  if (command === 'CLIENTINFO') return formatCtcp(command, 'ACTION CLIENTINFO PING TIME VERSION')
  return undefined
}

/** Keeps strangers from making the gateway flood. */
export class CtcpLimit {
  readonly #clock: Clock
  #free = BURST
  #at = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  take(): boolean {
    const now = this.#clock.monotonic()
    this.#free = Math.min(BURST, this.#free + (now - this.#at) / 1000 / SECONDS_EACH)
    this.#at = now
    if (this.#free < 1) return false
    this.#free -= 1
    return true
  }
}
