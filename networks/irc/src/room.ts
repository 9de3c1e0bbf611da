import type { Chat, JoinRequest, ReceivedMessage, RoomId } from '@spectrum/network'
import { type Ticket, View } from './channel-table.ts'
import type { Gap } from './gap.ts'
import type { Member } from './member.ts'

/** A channel of one session. */
export class Room {
  readonly id: RoomId
  readonly chat: Extract<Chat, { kind: 'room' }>
  /** As it is written to the server. */
  readonly name: string
  /** The channel's key. Kept for joining again; never logged. */
  password: string | undefined
  /**
   * waiting: for the connection · asked: JOIN is on its way · syncing: we are in, the list of names is coming · joined: told to
   * the host.
   */
  state: 'waiting' | 'asked' | 'syncing' | 'joined' = 'waiting'
  askedAt = 0
  view: View = View.empty()
  ticket: Ticket | undefined
  topic: { text: string; nick?: string; at?: Date } | undefined
  /** Channel modes without lists and prefixes, as letters; `undefined` until the server told. */
  modes: string | undefined
  limit: number | undefined
  /** What was said before the join was complete. */
  held: ReceivedMessage[] = []
  /** When the server says that we came in. */
  enteredAt: Date | undefined
  /** By how much the server's clock was ahead of ours then. */
  aheadMs = 0
  /** What of the past is wanted with the next join, and the nick that the user had there before. */
  past: { readonly history: JoinRequest['history']; readonly nick: string | undefined } | undefined
  /** What was said before the join is being told, or has just been. */
  gap: Gap | undefined
  /** The user asked to leave. */
  isLeaving = false
  /** The user wants in again before the server has confirmed that they are out. */
  isReturning = false
  /** It was joined before the connection broke: joining again is the session's own business. */
  isKept = false

  constructor(id: RoomId, name: string) {
    this.id = id
    this.name = name
    this.chat = { kind: 'room', room: id }
  }

  get isModerated(): boolean {
    return this.modes?.includes('m') ?? false
  }

  occupant(member: Member, ownKey: string) {
    const occupant = member.occupant(this.isModerated)
    return member.key === ownKey ? { ...occupant, self: true } : occupant
  }

  /** Gives up what is shared with other sessions. */
  release(): void {
    this.ticket?.cancel()
    this.ticket = undefined
    this.view.close()
    this.view = View.empty()
    this.gap?.close()
    this.gap = undefined
  }

  /** Out of the channel: nothing of it is remembered but its name. */
  reset(): void {
    this.release()
    this.held = []
    this.past = undefined
    this.enteredAt = undefined
    this.topic = undefined
    this.modes = undefined
    this.limit = undefined
    this.isLeaving = false
    this.isReturning = false
    this.state = 'waiting'
  }
}
