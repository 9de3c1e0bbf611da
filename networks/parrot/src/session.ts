import {
  type Chat,
  type ChatFeatures,
  type Contact,
  type FailureCode,
  type Host,
  type Login,
  NetworkError,
  type NetworkEvent,
  type OutgoingMessage,
  type Presence,
  type SentMessage,
  type Session,
  type SessionFeatures,
  type UserId,
  type VCard,
} from '@spectrum/network'
import { hasListener, isDelivered, parrotSays } from './birds.ts'
import { memberIn, received, witnesses } from './events.ts'
import { crash, obey } from './faults.ts'
import { chatFeatures, maxBytes, sessionFeatures } from './features.ts'
import { birds, parseUser } from './ids.ts'
import type { Inhabitant } from './inhabitant.ts'
import { checkLogin } from './login.ts'
import { type Order, parseOrder } from './orders.ts'
import { aborted, paused } from './pause.ts'
import { expel } from './rooms.ts'
import type { World } from './world.ts'

/** Nothing is connected to: the name under which logins are counted. */
const parrotHost = 'parrot'

/** One signed-in user of the pretend network. */
export class ParrotSession implements Session, Inhabitant {
  readonly features: SessionFeatures
  readonly login: string
  readonly user: UserId
  /** How long things take; an order to the parrot changes it. */
  latencyMs: number
  /** What the next message fails with. */
  failNext: FailureCode | undefined
  readonly #account: Login['account']
  readonly #host: Host
  readonly #world: World
  readonly #contacts = new Map<UserId, Contact>()
  readonly #blocked = new Set<UserId>()
  readonly #chatFeatures: Readonly<Record<Chat['kind'], ChatFeatures>>
  readonly #over = new AbortController()
  #presence: Presence = { show: 'online' }
  #isOnline = false

  constructor({ id, account, contacts }: Login, host: Host, world: World) {
    this.login = id
    this.user = parseUser(account.username)
    this.latencyMs = world.config.latencyMs
    this.#account = account
    this.#host = host
    this.#world = world
    for (const user of birds) this.#contacts.set(user, { user, groups: ['Parrots'], subscription: 'both' })
    for (const contact of contacts) this.#contacts.set(contact.user, contact)
    this.features = sessionFeatures(this, world)
    this.#chatFeatures = {
      contact: chatFeatures(this, world, 'contact'),
      room: chatFeatures(this, world, 'room'),
      occupant: chatFeatures(this, world, 'occupant'),
    }
  }

  get presence(): Presence {
    return this.#presence
  }

  get contacts(): ReadonlyMap<UserId, Contact> {
    return this.#contacts
  }

  featuresOf(chat: Chat): ChatFeatures {
    return this.#chatFeatures[chat.kind]
  }

  async run(signal: AbortSignal): Promise<void> {
    const over = AbortSignal.any([signal, this.#over.signal])
    this.#host.state('connecting')
    if (await this.#admitted(over)) {
      checkLogin(this.#account)
      this.#world.enter(this, new NetworkError('conflict', 'Signed in elsewhere.'))
      this.#isOnline = true
      this.#host.state('online')
      for (const contact of this.#contacts.values()) this.#emitContact(contact)
      this.#world.announce(this.user)
      await aborted(over)
      this.#moveOut(signal.aborted)
    }
    if (!signal.aborted) throw this.#over.signal.reason
  }

  /** The parrots' house has one door: whether the session was let in before it was over. */
  async #admitted(over: AbortSignal): Promise<boolean> {
    try {
      await this.#host.admit(parrotHost, over)
    } catch (error) {
      if (over.aborted) return false
      throw error
    }
    return paused(this.latencyMs, over)
  }

  send(message: OutgoingMessage): SentMessage | Promise<SentMessage> {
    this.requireOnline()
    if (hasListener(message.chat) && parseOrder(message.text, message.chat)?.order === 'crash')
      return crash(this.#world)
    if (this.latencyMs === 0) return this.#say(message)
    return this.pause().then(() => this.#say(message))
  }

  emit(event: NetworkEvent): void {
    this.#host.emit(event)
  }

  drop(reason: NetworkError): void {
    this.#over.abort(reason)
  }

  /** Waits for the latency; rejects when the session ends before that. */
  async pause(): Promise<void> {
    if (!(await paused(this.latencyMs, this.#over.signal))) this.requireOnline()
  }

  requireOnline(): void {
    if (!this.#isOnline) throw new NetworkError('signed-out', 'Not signed in to the parrots.')
  }

  hasBlocked(user: UserId): boolean {
    return this.#blocked.has(user)
  }

  block(user: UserId, blocked: boolean): void {
    if (blocked) this.#blocked.add(user)
    else this.#blocked.delete(user)
    this.emit({ type: 'contact', contact: { user, blocked } })
  }

  show(presence: Presence): void {
    this.#presence = presence
    this.#world.announce(this.user)
    for (const other of this.#world.inhabitantsCalled(this.user))
      if (other !== this) other.emit({ type: 'own-presence', presence })
  }

  publishVcard(vcard: VCard): void {
    this.#world.vcards.set(this.user, vcard)
  }

  addContact(contact: Contact): void {
    this.requireOnline()
    const { user } = contact
    const agreed = birds.has(user) || this.#contacts.get(user)?.subscription === 'both'
    this.#contacts.set(user, { ...contact, subscription: agreed ? 'both' : 'pending' })
    this.#emitContact(this.#contacts.get(user) ?? contact)
    if (agreed) return
    for (const other of this.#world.inhabitantsCalled(user))
      other.emit({ type: 'authorization-request', user: this.user })
  }

  updateContact(contact: Contact): void {
    const known = this.#contacts.get(contact.user)
    if (known === undefined) throw new NetworkError('not-found', 'That is none of your contacts.')
    this.#contacts.set(contact.user, { ...known, ...contact })
    this.#emitContact({ ...known, ...contact })
  }

  removeContact(user: UserId): void {
    if (this.#contacts.delete(user)) this.emit({ type: 'contact-removed', user })
  }

  settle(user: UserId, agreed: boolean): void {
    const contact = this.#contacts.get(user)
    if (contact === undefined) return
    if (!agreed) return this.removeContact(user)
    this.#contacts.set(user, { ...contact, subscription: 'both' })
    this.#emitContact({ ...contact, subscription: 'both' })
  }

  #emitContact(contact: Contact): void {
    const isVisible = contact.subscription !== 'pending'
    const presence = isVisible ? this.#world.presenceOf(contact.user) : undefined
    this.emit({ type: 'contact', contact: { ...contact, ...(presence && { presence }) } })
  }

  #say(message: OutgoingMessage): SentMessage {
    this.requireOnline()
    const { key, chat, text, action, replyTo, xhtml } = message
    this.#failOnDemand()
    const before = this.#world.saidUnder(this.login, key)
    if (before !== undefined) return { id: before.id }
    if (Buffer.byteLength(text) > maxBytes) throw new NetworkError('too-large', 'Parrots cannot remember that much.')
    const nick = chat.kind === 'contact' ? undefined : this.#voiceIn(chat)
    const order = hasListener(chat) ? parseOrder(text, chat) : undefined
    const audience = witnesses(this.#world, this, chat)
    const more = { ...(action && { action }), ...(replyTo && { replyTo }), ...(xhtml && { xhtml }) }
    const said = this.#world.remember(
      { author: this.user, chat, text, more, ...(nick === undefined ? {} : { nick }) },
      this.login,
      key,
    )
    for (const { to, ...seen } of audience) to.emit(received(seen, said))
    this.#answerLater(message, order)
    return { id: said.id }
  }

  /** After the sender knows that the message was sent: the receipt, and what the parrot makes of it. */
  #answerLater({ chat, key, text }: OutgoingMessage, order: Order | undefined): void {
    setImmediate(() => {
      if (!this.#isOnline) return
      if (chat.kind !== 'room' && isDelivered(chat)) this.emit({ type: 'receipt', chat, key })
      if (order !== undefined) obey(order, chat, this, this.#world)
      else if (hasListener(chat) && this.#world.isRepeated()) parrotSays(this.#world, this, chat, text)
    })
  }

  #failOnDemand(): void {
    const code = this.failNext
    if (code === undefined) return
    this.failNext = undefined
    throw new NetworkError(code, `The parrot failed on demand: ${code}.`)
  }

  /** The nick to speak by; throws for those who are not there or may not speak. */
  #voiceIn(chat: Exclude<Chat, { kind: 'contact' }>): string {
    const { nick, role } = memberIn(this.#world.room(chat.room), this)
    if (chat.kind === 'room' && role === 'visitor')
      throw new NetworkError('not-allowed', 'Visitors may not speak here.')
    return nick
  }

  #moveOut(isWanted: boolean): void {
    this.#isOnline = false
    this.#over.abort(new NetworkError('signed-out', 'Signed out.'))
    this.#world.leave(this)
    for (const room of this.#world.roomsOf(this)) {
      const member = memberIn(room, this)
      expel(this.#world, room, member, { kind: isWanted ? 'left' : 'disconnected' })
    }
    this.#world.announce(this.user)
  }
}
