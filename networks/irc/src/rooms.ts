import {
  type Affiliation,
  type JoinRequest,
  NetworkError,
  type Occupant,
  type Role,
  type RoomId,
  type Rooms,
  type UserId,
} from '@spectrum/network'
import { closingWords, cutBytes } from './closing.ts'
import { plainText } from './formatting.ts'
import { isNick } from './ids.ts'
import { type Line, nickOf, serialiseLine } from './line.ts'
import type { Link } from './link.ts'
import { Member } from './member.ts'
import { commandFailures } from './numerics.ts'
import type { Judge } from './requests.ts'
import type { Room } from './room.ts'
import type { IrcSession } from './session.ts'

/** Servers have a TOPICLEN of about that, and cut too. */
const MAX_TOPIC_BYTES = 390

/** The rooms of one session, on whichever server each is. */
export class IrcRooms implements Rooms {
  readonly #session: IrcSession

  constructor(session: IrcSession) {
    this.#session = session
  }

  join(request: JoinRequest): void {
    this.#session.join(request)
  }

  leave(id: RoomId, reason?: string): void {
    const { name } = this.#session.names.split(id)
    this.#session.linkOf(id)?.leave(name, reason === undefined ? undefined : closingWords(reason))
  }

  *occupants(id: RoomId): Iterable<Occupant> {
    const found = this.#find(id)
    if (found === undefined) return
    const { link, room } = found
    const own = link.ownKey
    for (const member of room.view.members()) yield room.occupant(member, own)
  }

  subject(id: RoomId) {
    return this.#find(id)?.room.topic
  }

  fillsGaps(id?: RoomId): boolean {
    const link = id === undefined ? this.#session.onlyLink : this.#session.linkOf(id)
    return link?.history.isOffered ?? false
  }

  /** TOPIC. Rejects when the server refuses. */
  async setSubject(id: RoomId, subject: string): Promise<void> {
    const { link, room } = this.#joined(id)
    const topic = cutBytes(subject.replace(/[\r\n]+/g, ' ').replace(/\0/g, ''), MAX_TOPIC_BYTES)
    if (topic === (room.topic?.text ?? '')) return
    await ask(link, ['TOPIC', room.name, topic], line => isAbout(link, line, 'TOPIC', room) && isOwn(link, line))
  }

  /** NICK, which changes the nick in all rooms of that server at once. */
  async changeNick(id: RoomId, nick: string): Promise<void> {
    const { link } = this.#joined(id)
    requireNick(nick)
    if (nick === link.nick) return
    link.keepNick()
    await ask(link, ['NICK', nick], line => line.command === 'NICK' && isOwn(link, line))
  }

  async kick(id: RoomId, nick: string, reason?: string): Promise<void> {
    const { link, room } = this.#joined(id)
    const { nick: target } = this.#member(link, room, nick)
    const words = reason ? [closingWords(reason)] : []
    await ask(link, ['KICK', room.name, target, ...words], line => {
      return isAbout(link, line, 'KICK', room) && link.fold(line.params[1] ?? '') === link.fold(target)
    })
  }

  async setRole(id: RoomId, nick: string, role: Role, reason?: string): Promise<void> {
    if (role === 'none') return this.kick(id, nick, reason)
    const { link, room } = this.#joined(id)
    const member = this.#member(link, room, nick)
    if (role === 'moderator') return this.#setModes(link, room, member, 'o', '')
    const ranks = link.connection.isupport.prefixModes.replace('v', '')
    const taken = [...ranks].filter(mode => member.modes.includes(mode)).join('')
    if (role === 'visitor')
      return this.#setModes(link, room, member, '', taken + (member.modes.includes('v') ? 'v' : ''))
    await this.#setModes(link, room, member, room.isModerated && !member.modes.includes('v') ? 'v' : '', taken)
  }

  async setAffiliation(
    id: RoomId,
    who: { readonly nick: string } | { readonly user: UserId },
    affiliation: Affiliation,
    reason?: string,
  ): Promise<void> {
    const { link, room } = this.#joined(id)
    const nick = 'nick' in who ? who.nick : this.#session.names.split(who.user).name
    if (affiliation === 'outcast') return this.#ban(link, room, nick, reason)
    const member = this.#member(link, room, nick)
    const { prefixModes } = link.connection.isupport
    const given = { owner: 'q', admin: 'o', member: 'v', none: '' }[affiliation]
    if (!prefixModes.includes(given)) throw new NetworkError('not-supported', 'This IRC server has no such rank.')
    const taken = [...prefixModes].filter(mode => mode !== given && member.modes.includes(mode)).join('')
    await this.#setModes(link, room, member, given, taken)
  }

  async invite(id: RoomId, user: UserId): Promise<void> {
    const { link, room } = this.#joined(id)
    const { name } = this.#session.names.split(user)
    requireNick(name)
    await ask(
      link,
      ['INVITE', name, room.name],
      line => line.command === '341' && link.fold(line.params[1] ?? '') === link.fold(name),
    )
  }

  async #ban(link: Link, room: Room, nick: string, reason?: string): Promise<void> {
    requireNick(nick)
    await ask(
      link,
      ['MODE', room.name, '+b', `${nick}!*@*`],
      line => isAbout(link, line, 'MODE', room) && isOwn(link, line),
    )
    if (room.view.get(link.fold(nick))) await this.kick(room.id, nick, reason)
  }

  async #setModes(link: Link, room: Room, { nick, modes }: Member, given: string, taken: string): Promise<void> {
    const plus = [...given].filter(mode => !modes.includes(mode)).join('')
    if (plus + taken === '') return
    const letters = `${plus && `+${plus}`}${taken && `-${taken}`}`
    const nicks = [...plus, ...taken].map(() => nick)
    await ask(
      link,
      ['MODE', room.name, letters, ...nicks],
      line => isAbout(link, line, 'MODE', room) && isOwn(link, line),
    )
  }

  #find(id: RoomId): { link: Link; room: Room } | undefined {
    const link = this.#session.linkOf(id)
    const room = link?.roomNamed(this.#session.names.split(id).name)
    return link && room?.state === 'joined' ? { link, room } : undefined
  }

  #joined(id: RoomId): { link: Link; room: Room } {
    const found = this.#find(id)
    if (found === undefined) throw new NetworkError('not-joined', 'You are not in this channel.')
    return found
  }

  #member(link: Link, room: Room, nick: string): Member {
    requireNick(nick)
    // Who is not in sight may have come just now: the server knows.
    return room.view.get(link.fold(nick)) ?? new Member(link.fold(nick), nick, link.userOf(nick))
  }
}

const isOwn = (link: Link, line: Line): boolean => link.fold(nickOf(line.source)) === link.ownKey
const isAbout = (link: Link, line: Line, command: string, room: Room): boolean =>
  line.command === command && link.roomNamed(line.params[0] ?? '') === room

function requireNick(nick: string): void {
  if (!isNick(nick)) throw new NetworkError('not-acceptable', 'That cannot be a nick on IRC.')
}

/** Sends a command; fulfils when a line shows that it was done, rejects when an error numeric names one of its parameters. */
async function ask(
  link: Link,
  [command, ...params]: [string, ...string[]],
  isDone: (line: Line) => boolean,
): Promise<void> {
  const line = serialiseLine(command, params)
  const names = params.slice(0, 2).map(name => link.fold(name))
  const judge: Judge = answer => {
    if (isDone(answer)) return true
    const code = commandFailures[answer.command]
    const isOurs = answer.params.slice(1, -1).some(param => names.includes(link.fold(param)) || param === command)
    return code !== undefined && isOurs
      ? new NetworkError(code, plainText(answer.params.at(-1) ?? answer.command))
      : undefined
  }
  await link.connection.outbox.send(line)
  await link.requests.expect(judge)
}
