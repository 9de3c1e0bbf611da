import { NetworkError } from '@spectrum/network'

/** Where an IRC server listens. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly isTls: boolean
}

const DEFAULT_PORT = 6667
const TLS_PORT = 6697

/**
 * In JIDs, whose local part has no colon, a comma stands before the port: `host,port`, `host,+port`. Neither a channel nor a
 * host may contain one.
 *
 * Reads `host`, `host:port`, `host:+port` (TLS; port 6697 implies it), `[v6]:port`. Throws NetworkError `bad-address`.
 * The result's host is in lower case.
 */
export function parseTarget(text: string): Target {
  const parts = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:,[\]]+))(?:[:,](\+?)(\d{1,5}))?$/.exec(text)
  const host = parts?.[1] ?? parts?.[2]
  const port = parts?.[4] === undefined ? DEFAULT_PORT : Number(parts[4])
  if (host === undefined || !isHost(host) || port < 1 || port > 65535) {
    throw new NetworkError(
      'bad-address',
      `"${printable(text)}" is not the address of an IRC server (host, host:port or host:+port; in a JID host,port or host,+port).`,
    )
  }
  return { host: host.toLowerCase(), port, isTls: parts?.[3] === '+' || port === TLS_PORT }
}

/** The list of `service.irc_server`: one text with commas, spaces or semicolons between, or several. */
export function parseTargets(value: string | readonly string[]): readonly Target[] {
  const words = (typeof value === 'string' ? [value] : value)
    .flatMap(text => text.split(/[\s,;]+/))
    .filter(word => word !== '')
  return words.map(parseTarget)
}

const isHost = (host: string): boolean =>
  host.length <= 253 &&
  (host.includes(':') ||
    /^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$/.test(host))

const printable = (text: string): string => text.slice(0, 80).replace(/[^\x20-\x7e]/g, '?')
