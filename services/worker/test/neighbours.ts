import {
  type Bus,
  backendKey,
  type Client,
  commandLane,
  connectBus,
  createSealingKeys,
  eventLane,
  instanceKey,
  type LanePublisher,
  leaderResource,
  placementKey,
  protoValue,
  sealTo,
  snapshotKey,
} from '@spectrum/bus'
import {
  type Address,
  Backend,
  Command,
  Credentials,
  commandCodec,
  type Event,
  eventCodec,
  Placement,
  Placement_State,
  RouterDefinition,
  type SavedSession,
  type Sealed,
  SessionSnapshot,
  Show,
} from '@spectrum/messages'
import { type Logger, NetworkError } from '@spectrum/network'
import { type NatsServer, startNats, waitUntil } from '@spectrum/stack'

export const jid = 'parrot.example.org'
export const instance = instanceKey(jid)
const quiet: Logger = { debug() {}, info() {}, warn() {}, error: (fields, message) => console.error(message, fields) }

/** A login as the imitated router keeps it. */
export interface Registered {
  readonly username: string
  readonly password: string
  readonly settings?: Record<string, string>
}

type Body = NonNullable<Command['command']>

/**
 * The neighbours of a worker, spoken by hand: the router's answers and placements, the frontend's commands, and the reading end of
 * the event lane. Over a real NATS server.
 */
export class Neighbours implements AsyncDisposable {
  readonly nats: NatsServer
  readonly router: Bus
  readonly frontend: Bus
  readonly events: Event[] = []
  readonly released: string[] = []
  /** The last copy of each session. */
  readonly saved = new Map<string, SavedSession>()
  /** Hosts that throttled. */
  readonly throttled: string[] = []
  readonly accounts = new Map<string, Registered>()
  readonly instanceKeys = createSealingKeys()
  /** While set, the router answers requests for credentials with this. */
  credentialsFailure: NetworkError | undefined
  generation = 100
  /** The frontend answers at once that it has returned all lines. */
  answersReturns = true
  /** The next command is published twice. */
  repeatNext = false
  /** The generation of each user's last placement. */
  readonly #placed = new Map<string, number>()
  #count = 0

  constructor(nats: NatsServer, router: Bus, frontend: Bus) {
    this.nats = nats
    this.router = router
    this.frontend = frontend
  }

  static async start(): Promise<Neighbours> {
    const nats = await startNats()
    const connect = (service: 'router' | 'frontend') =>
      connectBus({ servers: [nats.url], service, instance, log: quiet })
    const neighbours = new Neighbours(nats, await connect('router'), await connect('frontend'))
    await neighbours.#serve()
    return neighbours
  }

  async #serve(): Promise<void> {
    const { router, frontend, events, released } = this
    router.serve(RouterDefinition, {
      login: async ({ user }) => this.place(user, 0),
      release: async ({ user, generation }) => {
        released.push(`${user} ${generation}`)
        await router.table('placements').delete(placementKey(instance, user))
        return {}
      },
      fetchCredentials: async ({ user, publicKey }) => {
        if (this.credentialsFailure !== undefined) throw this.credentialsFailure
        const account = this.accounts.get(user)
        if (account === undefined) throw new NetworkError('not-registered', 'Who are you?')
        const plain = Credentials.create({ ...account, hasPassword: true })
        return split(sealTo(publicKey, Credentials.encode(plain).finish()))
      },
      saveSessions: async ({ sessions }) => {
        for (const session of sessions) this.saved.set(session.user, session)
        return {}
      },
      fetchInstanceKey: async ({ publicKey }) => split(sealTo(publicKey, this.instanceKeys.privateKey)),
    })
    router.serve(
      RouterDefinition,
      {
        takeLoginTurns: async ({ wishes }) => ({
          grants: wishes.map(({ host, source, waiting }) => ({
            host,
            source,
            turns: waiting,
            retryAfterMs: 20,
            validMs: 2_000,
          })),
        }),
        reportThrottling: async ({ host }) => {
          this.throttled.push(host)
          return {}
        },
      },
      { target: leaderResource(instance) },
    )
    const ownership = await frontend.owners.acquire(`partition.${instance}.0`)
    if (ownership === undefined) throw new Error('somebody else reads the events')
    await frontend.consume(eventLane(instance, 0), eventCodec, ownership, {
      onItem: delivery => {
        const { item } = delivery
        events.push(item)
        if (item.event?.$case === 'returnsAwaited' && this.answersReturns)
          this.returnsComplete(item.user, item.resources[0] ?? '', item.event.value.room)
        delivery.finish()
      },
      onLost(reason) {
        if (reason !== 'released') console.error('the event lane was lost', reason)
      },
    })
  }

  /** A backend that workers shall run. */
  async addBackend(number: number): Promise<void> {
    await this.router
      .table('backends', protoValue(Backend))
      .put(backendKey(instance, number), { number, capacity: 100, isRetired: false, isLongRun: false })
  }

  /** What the leading router does for a login: placement and StartSession. */
  async place(user: string, backend: number): Promise<Placement> {
    const placement = {
      backend,
      generation: ++this.generation,
      state: Placement_State.STATE_STARTED,
      movedFrom: undefined,
    }
    this.#placed.set(user, placement.generation)
    await this.router.table('placements', protoValue(Placement)).put(placementKey(instance, user), placement)
    const { username = '', settings = {} } = this.accounts.get(user) ?? {}
    const lane = this.router.publisher(commandLane(instance, backend), commandCodec)
    const start: Body = { $case: 'startSession', value: { username, settings, snapshot: undefined } }
    lane.publish(this.#command(user, '', placement.generation, start, ''))
    await lane.durable()
    return placement
  }

  async register(user: string, username: string): Promise<Placement> {
    this.accounts.set(user, { username, password: 'cracker' })
    return this.place(user, 0)
  }

  get commands(): LanePublisher<Command> {
    return this.frontend.publisher(commandLane(instance, 0), commandCodec)
  }

  send(
    user: string,
    resource: string,
    command: Body,
    stanzaId = `s${this.#count}`,
    generation = this.generation,
  ): void {
    const item = this.#command(user, resource, generation, command, stanzaId)
    this.commands.publish(item)
    if (this.repeatNext) this.commands.publish(item)
    this.repeatNext = false
  }

  #command(user: string, resource: string, generation: number, command: Body, stanzaId: string): Command {
    return Command.create({ key: `k${++this.#count}`, user, resource, generation, stanzaId, command })
  }

  presence(user: string, resource: string, show: Show = Show.SHOW_UNSPECIFIED, generation?: number): void {
    const value = { show, status: '', priority: 0 }
    this.send(user, resource, { $case: 'setPresence', value }, undefined, generation)
  }

  join(
    user: string,
    resource: string,
    room: string,
    nick: string,
    stanzaId?: string,
    password?: string,
    inDoubt = false,
  ): void {
    const sealed = password === undefined ? undefined : this.#seal(password)
    const value = {
      room: address(room, nick),
      password: sealed,
      hasMucElement: true,
      show: 0 as const,
      status: '',
      inDoubt,
    }
    this.send(user, resource, { $case: 'joinRoom', value }, stanzaId)
  }

  #seal(password: string): Sealed {
    const { nonce, ciphertext } = sealTo(this.instanceKeys.publicKey, Buffer.from(password))
    return { nonce: Buffer.from(nonce), ciphertext: Buffer.from(ciphertext) }
  }

  leave(user: string, resource: string, room: string, nick: string): void {
    this.send(user, resource, { $case: 'leaveRoom', value: { room: address(room, nick), status: '' } })
  }

  selfPing(user: string, resource: string, room: string, nick: string, stanzaId: string): void {
    this.send(user, resource, { $case: 'selfPing', value: { room: address(room, nick) } }, stanzaId)
  }

  /** All lines that were lost are returned. */
  returnsComplete(user: string, resource: string, room: Address | undefined): void {
    this.send(user, resource, { $case: 'returnsComplete', value: { room } }, '', this.#placed.get(user))
  }

  say(user: string, resource: string, room: string, body: string, stanzaId?: string): void {
    const value = {
      to: address(room),
      kind: 1 as const,
      body,
      xhtml: '',
      originId: '',
      wantsReceipt: false,
      chatState: 0 as const,
    }
    this.send(user, resource, { $case: 'sendMessage', value }, stanzaId)
  }

  chat(user: string, resource: string, to: string, body: string, nick = ''): void {
    const value = {
      to: address(to, nick),
      kind: 0 as const,
      body,
      xhtml: '',
      originId: '',
      wantsReceipt: false,
      chatState: 0 as const,
    }
    this.send(user, resource, { $case: 'sendMessage', value })
  }

  /** The events of one user told so far, as short lines that tests compare. */
  told(user: string): string[] {
    return this.events.filter(event => event.user === user).map(line)
  }

  /** Waits until one of the user's lines matches, from `after` on; the index behind it. */
  async hears(user: string, pattern: RegExp, after = 0): Promise<number> {
    let index = -1
    await waitUntil(
      () => {
        index = this.told(user).findIndex((each, at) => at >= after && pattern.test(each))
        return index >= 0
      },
      {
        deadlineMs: 15_000,
        describe: () => `${user} did not hear ${pattern}; heard:\n${this.told(user).slice(-40).join('\n')}`,
      },
    )
    return index + 1
  }

  /** Waits until what is stored of the session satisfies the test. */
  async stored(user: string, backend: number, isRight: (snapshot: SessionSnapshot) => boolean): Promise<void> {
    const table = this.router.table('snapshots', protoValue(SessionSnapshot))
    let last: SessionSnapshot | undefined
    await waitUntil(
      async () => {
        last = (await table.get(snapshotKey(instance, backend, user)))?.value
        return last !== undefined && isRight(last)
      },
      { deadlineMs: 10_000, describe: () => `stored is ${JSON.stringify(last)}` },
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.frontend[Symbol.asyncDispose]()
    await this.router[Symbol.asyncDispose]()
    await this.nats[Symbol.asyncDispose]()
  }
}

export const address = (name: string, resource = ''): Address => ({ name, node: name, resource })

export type RouterClient = Client<typeof RouterDefinition>

function split({ nonce, ciphertext }: { nonce: Uint8Array; ciphertext: Uint8Array }) {
  return {
    publicKey: Buffer.from(ciphertext.subarray(0, 32)),
    nonce: Buffer.from(nonce),
    ciphertext: Buffer.from(ciphertext.subarray(32)),
  }
}

const place = (from: Address | undefined): string =>
  `${from?.node || from?.name}${from?.resource ? `/${from.resource}` : ''}`

function line({ event, resources }: Event): string {
  const to = resources.length === 0 ? 'bare' : [...resources].sort().join('+')
  switch (event?.$case) {
    case 'gatewayPresence':
      return `${to}: gateway ${event.value.show} ${event.value.status}`.trim()
    case 'contactPresence':
      return `${to}: contact ${place(event.value.from)} ${event.value.show}`
    case 'occupantPresence': {
      const { from, show, codes, refused, newNick } = event.value
      if (refused !== undefined) return `${to}: refused ${place(from)} ${refused.code}: ${refused.text}`
      const word = show === Show.SHOW_OFFLINE ? 'gone' : 'here'
      return `${to}: ${word} ${place(from)}${codes.length > 0 ? ` ${codes.join(',')}` : ''}${newNick ? ` -> ${newNick}` : ''}`
    }
    case 'messageReceived': {
      const { from, body, id, isPrivate } = event.value
      return `${to}: ${isPrivate ? 'private ' : ''}message ${place(from)} «${body}»${id ? ` id=${id}` : ''}`
    }
    case 'subjectChanged':
      return `${to}: subject ${place(event.value.from)} «${event.value.subject}»`
    case 'commandFailed': {
      const { stanza, stanzaId, from, failure } = event.value
      const kind = ['stanza', 'message', 'presence', 'iq'][stanza]
      return `${to}: failed ${kind} ${stanzaId} ${place(from)} ${failure?.code}`
    }
    case 'returnsAwaited':
      return `${to}: returns of ${place(event.value.room)} awaited`
    case 'selfPingAnswered':
      return `${to}: in ${place(event.value.from)} ${event.value.stanzaId}`
    default:
      return `${to}: ${event?.$case}`
  }
}
