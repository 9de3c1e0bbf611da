import { type Address, ContactPresence, ContactPresence_Kind, Show } from '@spectrum/messages'
import type { Contact, UserId } from '@spectrum/network'
import { bareJid } from './events.ts'
import { toShow } from './presence.ts'
import type { Session } from './session.ts'

interface Known {
  readonly name: string
  readonly show: Show
  readonly status: string
  readonly avatarHash: string
}

/** Most people whose spelling is remembered who are not on the contact list. */
const maxSpellings = 256

/** The people on the network as this session knows them: the list with its presence, and how the user spells their JIDs. */
export class Contacts {
  readonly #known = new Map<UserId, Known>()
  readonly #nodes = new Map<UserId, string>()

  /** The user wrote to that person under this node: answers come from there. */
  addressed(user: UserId, node: string): void {
    if (node === '' || this.#nodes.get(user) === node) return
    this.#nodes.delete(user)
    this.#nodes.set(user, node)
    if (this.#nodes.size <= maxSpellings) return
    for (const oldest of this.#nodes.keys()) {
      this.#nodes.delete(oldest)
      return
    }
  }

  address(user: UserId): Address {
    return { name: user, node: this.#nodes.get(user) ?? '', resource: '' }
  }

  get(user: UserId): Known | undefined {
    return this.#known.get(user)
  }

  *online(): Iterable<[UserId, Known]> {
    for (const entry of this.#known) if (entry[1].show !== Show.SHOW_OFFLINE) yield entry
  }

  /** Absent fields keep what is known. The new state, or undefined when nothing changed that presence shows. */
  update({ user, name, presence, avatarHash }: Contact): Known | undefined {
    const before = this.#known.get(user)
    const known: Known = {
      name: name ?? before?.name ?? '',
      show: presence === undefined ? (before?.show ?? Show.SHOW_OFFLINE) : toShow(presence.show),
      status: presence === undefined ? (before?.status ?? '') : (presence.status ?? ''),
      avatarHash: avatarHash ?? before?.avatarHash ?? '',
    }
    this.#known.set(user, known)
    const isSame =
      known.show === (before?.show ?? Show.SHOW_OFFLINE) &&
      known.status === (before?.status ?? '') &&
      known.name === (before?.name ?? '') &&
      known.avatarHash === (before?.avatarHash ?? '')
    return isSame ? undefined : known
  }

  delete(user: UserId): boolean {
    this.#nodes.delete(user)
    return this.#known.delete(user)
  }
}

export function contactChanged(session: Session, contact: Contact): void {
  const known = session.contacts.update(contact)
  if (known !== undefined) tellContact(session, contact.user, bareJid)
}

export function contactRemoved(session: Session, user: UserId): void {
  const contact = session.contacts.address(user)
  session.contacts.delete(user)
  session.tell({ $case: 'contactRemoved', value: { contact } }, bareJid)
}

/** Presence of a contact as it is known; unavailable when it is not. */
export function tellContact(session: Session, user: UserId, resources: readonly string[]): void {
  const known = session.contacts.get(user)
  const value = ContactPresence.create({
    from: session.contacts.address(user),
    show: known?.show ?? Show.SHOW_OFFLINE,
    status: known?.status ?? '',
    nick: known?.name ?? '',
    avatarHash: known?.avatarHash ?? '',
  })
  session.tell({ $case: 'contactPresence', value }, resources)
}

/** A new resource sees who is online. */
export function tellContacts(session: Session, resource: string): void {
  const resources = [resource]
  for (const [user] of session.contacts.online()) tellContact(session, user, resources)
}

/** The session ends: everybody who was online is not any more. */
export function withdrawContacts(session: Session): void {
  for (const [user] of session.contacts.online()) {
    const value = ContactPresence.create({ from: session.contacts.address(user), show: Show.SHOW_OFFLINE })
    session.tell({ $case: 'contactPresence', value }, bareJid)
  }
}

/** Somebody asks to see the user's presence. */
export function authorizationRequested(session: Session, user: UserId, name = '', text = ''): void {
  const value = ContactPresence.create({
    from: session.contacts.address(user),
    kind: ContactPresence_Kind.KIND_SUBSCRIBE,
    status: text,
    nick: name,
  })
  session.tell({ $case: 'contactPresence', value }, bareJid)
}
