import { Affiliation, OccupantPresence, Role, Show } from '@spectrum/messages'
import type { Affiliation as NetworkAffiliation, Role as NetworkRole, Occupant } from '@spectrum/network'
import type { Room } from './room.ts'

const affiliations: Readonly<Record<NetworkAffiliation, Affiliation>> = {
  owner: Affiliation.AFFILIATION_OWNER,
  admin: Affiliation.AFFILIATION_ADMIN,
  member: Affiliation.AFFILIATION_MEMBER,
  none: Affiliation.AFFILIATION_UNSPECIFIED,
  outcast: Affiliation.AFFILIATION_OUTCAST,
}

const roles: Readonly<Record<NetworkRole, Role>> = {
  moderator: Role.ROLE_MODERATOR,
  participant: Role.ROLE_PARTICIPANT,
  visitor: Role.ROLE_VISITOR,
  none: Role.ROLE_UNSPECIFIED,
}

/** Status codes, XEP-0045 section 15.6. */
export const codes = {
  self: 110,
  nickAssigned: 210,
  banned: 301,
  newNick: 303,
  kicked: 307,
  shutdown: 332,
  error: 333,
} as const

type Details = Partial<Omit<OccupantPresence, 'from'>>

/** Presence of an occupant who is in the room. */
export function available(room: Room, node: string, occupant: Occupant, details: Details = {}): OccupantPresence {
  const { away } = occupant
  return {
    ...empty,
    from: room.address(node, occupant.nick),
    show: away === undefined ? Show.SHOW_UNSPECIFIED : Show.SHOW_AWAY,
    status: typeof away === 'string' ? away : '',
    affiliation: affiliations[occupant.affiliation],
    role: roles[occupant.role],
    codes: occupant.self ? [codes.self] : [],
    jidName: occupant.user ?? '',
    avatarHash: occupant.avatarHash ?? '',
    ...details,
  }
}

/** Presence of an occupant who is not in the room any more: no role, and no affiliation but what a ban leaves. */
export function unavailable(room: Room, node: string, nick: string, details: Details = {}): OccupantPresence {
  return { ...empty, from: room.address(node, nick), show: Show.SHOW_OFFLINE, codes: [], ...details }
}

/** The user's own occupant, when the network does not list it. */
export const plainSelf = (nick: string): Occupant => ({ nick, affiliation: 'none', role: 'participant', self: true })

/** Two occupants with the same digest look the same to XMPP clients. */
export function digest({ affiliation, role, away }: Occupant): string {
  return away === undefined ? (ranks[affiliation]?.[role] ?? '') : `${affiliation} ${role} ${away}`
}

/** 32 bits that stand for an occupant and its look (FNV-1a over UTF-16 units), where there is no room for names. */
export function fingerprint(nick: string, look: string): number {
  let hash = 0x811c9dc5
  const text = `${nick}\0${look}`
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}

// Strings made once: a digest is kept for every occupant of every room of every session.
const ranks = Object.fromEntries(
  Object.keys(affiliations).map(affiliation => [
    affiliation,
    Object.fromEntries(Object.keys(roles).map(role => [role, `${affiliation} ${role}`])),
  ]),
) as Readonly<Record<NetworkAffiliation, Readonly<Record<NetworkRole, string>>>>

const empty: OccupantPresence = OccupantPresence.create()
