import { type Casemapping, fold, parseCasemapping } from './casemapping.ts'

/** What a server says of itself in RPL_ISUPPORT (005), with the protocol's defaults until it does. */
export class Isupport {
  casemapping: Casemapping = 'rfc1459'
  /** Prefix modes by rank, highest first, and their symbols. */
  prefixModes = 'ov'
  prefixSymbols = '@+'
  channelTypes = '#&'
  /** Symbols that may stand before a channel's name in a message to its moderators. */
  statusSymbols = ''
  /** The four kinds of channel mode: lists, always with parameter, with parameter when set, without. */
  channelModes: readonly [string, string, string, string] = ['beIq', 'k', 'l', 'imnpst']
  /** The longest line in bytes, its end included, tags not. */
  lineBytes = 512
  /** How many channels one JOIN may name; 0 = no limit told. */
  maxJoinTargets = 0
  /** How many lines one CHATHISTORY may ask for; 0 = no limit, `undefined` = not told. */
  maxHistory: number | undefined
  /** How a line of the past may be named (MSGREFTYPES), best first. */
  historyReferences: readonly string[] = ['msgid', 'timestamp']

  /** `params` of a 005: own nick, tokens …, a sentence. */
  apply(params: readonly string[]): void {
    for (const token of params.slice(1, -1)) {
      const equals = token.indexOf('=')
      const key = equals < 0 ? token : token.slice(0, equals)
      this.#set(key, equals < 0 ? '' : token.slice(equals + 1))
    }
  }

  #set(key: string, value: string): void {
    if (key === 'CASEMAPPING') this.casemapping = parseCasemapping(value)
    else if (key === 'PREFIX') this.#setPrefix(value)
    else if (key === 'CHANTYPES') this.channelTypes = value.replace(/[^#&+!]/g, '')
    else if (key === 'STATUSMSG') this.statusSymbols = value
    else if (key === 'CHANMODES') {
      const [a = '', b = '', c = '', d = ''] = value.split(',')
      this.channelModes = [a, b, c, d]
    } else if (key === 'LINELEN') this.lineBytes = bounded(value, 512, 16 * 1024) ?? this.lineBytes
    else if (key === 'CHATHISTORY' || key === 'draft/CHATHISTORY') this.maxHistory = bounded(value, 0, 1000)
    else if (key === 'MSGREFTYPES') this.historyReferences = value.toLowerCase().split(',')
    else if (key === 'TARGMAX') this.maxJoinTargets = bounded(/(?:^|,)JOIN:(\d+)/.exec(value)?.[1] ?? '', 1, 1000) ?? 0
  }

  #setPrefix(value: string): void {
    const parts = /^\(([A-Za-z]*)\)(.*)$/.exec(value)
    if (value !== '' && (parts === null || parts[1]?.length !== parts[2]?.length)) return
    this.prefixModes = parts?.[1] ?? ''
    this.prefixSymbols = parts?.[2] ?? ''
  }

  fold(name: string): string {
    return fold(this.casemapping, name)
  }

  isChannel(name: string): boolean {
    return name !== '' && this.channelTypes.includes(name.charAt(0))
  }

  /** Whether a channel mode is followed by a parameter; `undefined` for one that the server has not declared. */
  takesParam(mode: string, isSet: boolean): boolean {
    if (this.prefixModes.includes(mode)) return true
    const [lists, always, whenSet] = this.channelModes
    return lists.includes(mode) || always.includes(mode) || (isSet && whenSet.includes(mode))
  }

  /** Prefix modes in rank order after one was given or taken. */
  withMode(modes: string, mode: string, isSet: boolean): string {
    if (modes.includes(mode) === isSet) return modes
    let result = ''
    for (const known of this.prefixModes) {
      if (known === mode ? isSet : modes.includes(known)) result += known
    }
    return result
  }
}

function bounded(value: string, min: number, max: number): number | undefined {
  if (!/^\d{1,9}$/.test(value)) return undefined
  return Math.min(max, Math.max(min, Number(value)))
}
