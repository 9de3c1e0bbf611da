import {
  type Chat,
  type ChatFeatures,
  type Host,
  type JoinRequest,
  type Login,
  NetworkError,
  type OutgoingMessage,
  type Presence,
  type SentMessage,
  type Session,
  type SessionFeatures,
} from '@spectrum/network'
import { chatFeatures, createFeatures } from './features.ts'
import { isNick, type Names } from './ids.ts'
import { Link } from './link.ts'
import { privmsgLines } from './privmsg.ts'
import { ServerLinks } from './server-links.ts'
import type { Shared } from './shared.ts'

const nothing: SentMessage = {}

/** One user's life on IRC: one connection, or one for each server that the user's rooms and contacts name. */
export class IrcSession implements Session {
  readonly features: SessionFeatures
  readonly names: Names
  readonly #shared: Shared
  readonly #host: Host
  readonly #link: Link | undefined
  readonly #links: ServerLinks | undefined

  constructor(shared: Shared, login: Login, host: Host) {
    const { config, flusher, ticker, tables, count } = shared
    const { username, password } = login.account
    const { lastPrivateAt } = login
    const parts = {
      host,
      config,
      flusher,
      ticker,
      tables,
      count,
      username,
      password: password || undefined,
      lastPrivateAt,
    }
    this.#shared = shared
    this.#host = host
    this.names = shared.names
    if (shared.names.hasServers) this.#links = new ServerLinks(parts)
    else this.#link = new Link(parts, '')
    this.features = createFeatures(this)
  }

  async run(signal: AbortSignal): Promise<void> {
    if (this.#links) return this.#links.run(signal)
    this.#host.state('connecting')
    await this.#runOne(signal)
  }

  /** Tries the configured servers in turn, beginning with the one that worked last. */
  async #runOne(signal: AbortSignal): Promise<void> {
    const { targets } = this.#shared
    for (let tried = 1; !signal.aborted && this.#link; tried++) {
      let wasOnline = false
      const target = targets.current
      try {
        await this.#link.connect(target, 'operator', signal, () => {
          wasOnline = true
          this.#host.state('online')
        })
        return
      } catch (error) {
        const failure = NetworkError.from(error)
        if (failure.code !== 'wrong-credentials' && failure.code !== 'not-acceptable') targets.advance(target)
        if (wasOnline || failure.code !== 'unreachable' || tried >= targets.length) throw failure
        this.#host.log.info({ err: failure }, 'An IRC server could not be reached; the next is tried.')
      }
    }
  }

  join(request: JoinRequest): void {
    const { name, server } = this.names.split(request.room)
    if (this.#links) this.#links.join(request, name, server)
    else this.#link?.join(request, name)
  }

  /** The one link, where users do not choose their servers. */
  get onlyLink(): Link | undefined {
    return this.#link
  }

  /** The link that an id belongs to; `undefined` when there is no connection to that server. */
  linkOf(id: string): Link | undefined {
    return this.#link ?? this.#links?.get(this.names.split(id).server)
  }

  setPresence(presence: Presence): void {
    if (this.#links) this.#links.setPresence(presence)
    else this.#link?.setPresence(presence)
  }

  connections() {
    return this.#links?.list() ?? []
  }

  send(message: OutgoingMessage): SentMessage | Promise<SentMessage> {
    const { chat } = message
    const id = chat.kind === 'contact' ? chat.user : chat.room
    const link = this.linkOf(id)
    if (link?.isOnline) return this.#say(link, message)
    if (this.#links && chat.kind === 'contact') {
      return this.#links.open(this.names.split(id).server).then(opened => this.#say(opened, message))
    }
    throw new NetworkError('signed-out', 'Not connected to IRC.')
  }

  #say(link: Link, message: OutgoingMessage): SentMessage | Promise<SentMessage> {
    const target = this.#targetOf(link, message.chat)
    const { outbox, relayedBytes } = link.connection
    const lines = privmsgLines(target, message, relayedBytes)
    const sent = lines.length === 1 ? outbox.send(lines[0] ?? '') : outbox.sendAll(lines)
    const said = link.said.add(message.key, message.chat, link.fold(target), lines.length)
    if (sent === undefined) return nothing
    return sent.then(() => {
      link.said.left(said)
      return nothing
    })
  }

  #targetOf(link: Link, chat: Chat): string {
    if (chat.kind === 'contact') {
      const { name } = this.names.split(chat.user)
      if (!isNick(name)) throw new NetworkError('bad-address', 'That cannot be a nick on IRC.')
      return name
    }
    const room = link.roomNamed(this.names.split(chat.room).name)
    if (room?.state !== 'joined') throw new NetworkError('not-joined', 'You are not in this channel.')
    if (chat.kind === 'room') return room.name
    if (!room.view.get(link.fold(chat.nick)))
      throw new NetworkError('not-found', 'Nobody of that name is in the channel.')
    link.rememberPrivateChat(chat.nick, room.id)
    return chat.nick
  }

  featuresOf(_chat: Chat): ChatFeatures {
    return chatFeatures
  }
}
