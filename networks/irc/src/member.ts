import type { Affiliation, Occupant, Role, UserId } from '@spectrum/network'

/** Somebody in a channel. Never changed, so that sessions can share it: a change makes another. */
export class Member {
  /** The nick as the server compares it. */
  readonly key: string
  readonly nick: string
  readonly user: UserId
  /** Prefix modes held here, highest first: `o`, `ov`. */
  readonly modes: string
  readonly away: string | true | undefined
  readonly account: string | undefined
  #occupant: Occupant | undefined
  #muted: Occupant | undefined

  constructor(key: string, nick: string, user: UserId, modes = '', away?: string | true, account?: string) {
    this.key = key
    this.nick = nick
    this.user = user
    this.modes = modes
    this.away = away
    this.account = account
  }

  /** As the gateway shows it. In a moderated channel who has no mode cannot speak. */
  occupant(isModerated: boolean): Occupant {
    if (isModerated && this.modes === '') {
      this.#muted ??= this.#describe('visitor')
      return this.#muted
    }
    this.#occupant ??= this.#describe(roleOf(this.modes))
    return this.#occupant
  }

  #describe(role: Role): Occupant {
    const base = { nick: this.nick, affiliation: affiliationOf(this.modes), role, user: this.user }
    return this.away === undefined ? base : { ...base, away: this.away }
  }
}

/** The same person with something changed; `away: undefined` in `fields` means back. */
export function memberAs(
  member: Member,
  fields: Partial<Pick<Member, 'key' | 'nick' | 'user' | 'modes' | 'away' | 'account'>>,
): Member {
  return new Member(
    fields.key ?? member.key,
    fields.nick ?? member.nick,
    fields.user ?? member.user,
    fields.modes ?? member.modes,
    'away' in fields ? fields.away : member.away,
    'account' in fields ? fields.account : member.account,
  )
}

/** `v` may speak, `h` moderates a little; every other prefix mode (o, a, q, a server's own) is at least an operator's. */
export function roleOf(modes: string): Role {
  return modes === '' || modes === 'v' ? 'participant' : 'moderator'
}

export function affiliationOf(modes: string): Affiliation {
  if (modes === '') return 'none'
  if (modes.includes('q')) return 'owner'
  return /^[hv]+$/.test(modes) ? 'member' : 'admin'
}
