import type { Contact, NetworkError, NetworkEvent, Presence, UserId } from '@spectrum/network'

/** A signed-in user as the world knows them: one device, one session. */
export interface Inhabitant {
  readonly login: string
  readonly user: UserId
  readonly presence: Presence
  readonly contacts: ReadonlyMap<UserId, Contact>
  emit(event: NetworkEvent): void
  /** The other side agreed to be seen, or (false) did not. */
  settle(contact: UserId, agreed: boolean): void
  hasBlocked(user: UserId): boolean
  /** Ends the session with this reason. */
  drop(reason: NetworkError): void
}
