import {
  type Bus,
  backendResource,
  commandLane,
  connectBus,
  createSealingKeys,
  eventLane,
  instanceKey,
  manifestKey,
  openSealed,
  partitionOf,
  placementKey,
  protoValue,
  publicKeyKey,
  type ServiceName,
} from '@spectrum/bus'
import {
  type Command,
  commandCodec,
  type Event,
  eventCodec,
  InstanceManifest,
  Placement,
  Placement_State,
  RouterDefinition,
  type Sealed,
} from '@spectrum/messages'
import { NetworkError, type NetworkManifest } from '@spectrum/network'
import { waitUntil } from '@spectrum/stack'

/** Tells nobody. */
export const silent = { debug() {}, info() {}, warn() {}, error() {} }
const manifest: NetworkManifest = {
  registration: { isRequired: true, needsPassword: true },
  hasRooms: true,
  hasReceipts: true,
  hasRawXml: false,
  escapesJids: false,
  roomPattern: '^[#&]',
}

type CommandBody = NonNullable<Command['command']>
type CommandCase = CommandBody['$case']
type CommandValue<Case extends CommandCase> = Extract<CommandBody, { $case: Case }>['value']

/** A router and a worker as the frontend sees them: they answer its requests, read its commands and publish events. */
export class Neighbours implements AsyncDisposable {
  readonly router: Bus
  readonly worker: Bus
  readonly instance: string
  readonly commands: Command[] = []
  readonly registered = new Map<string, { username: string; password: string }>()
  readonly placed = new Map<string, Placement>()
  readonly logins: string[] = []
  readonly keys = createSealingKeys()
  epoch = 1
  /** The router tells nothing of registrations before. */
  mayTell: Promise<unknown> = Promise.resolve()
  /** Registrations that were asked for. */
  asked = 0
  #unread: Command[] = []
  #events = 0
  #generation = 1

  private constructor(router: Bus, worker: Bus, jid: string) {
    this.router = router
    this.worker = worker
    this.instance = instanceKey(jid)
  }

  static async start(url: string, jid: string): Promise<Neighbours> {
    const connect = (service: ServiceName) =>
      connectBus({ servers: [url], instance: instanceKey(jid), log: silent, service })
    const neighbours = new Neighbours(await connect('router'), await connect('worker'), jid)
    await neighbours.#open()
    return neighbours
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.worker[Symbol.asyncDispose]()
    await this.router[Symbol.asyncDispose]()
  }

  /** The next command of that kind, and of that user if given; others stay for later. */
  command<Case extends CommandCase>(kind: Case, user?: string): Promise<Command & { value: CommandValue<Case> }> {
    return waitUntil(
      () => {
        const index = this.#unread.findIndex(
          ({ command, user: whose }) => command?.$case === kind && (user === undefined || whose === user),
        )
        if (index === -1) return undefined
        const [found] = this.#unread.splice(index, 1)
        return { ...(found as Command), value: found?.command?.value as CommandValue<Case> }
      },
      { describe: () => `no ${kind}; there came ${JSON.stringify(this.#unread.map(({ command }) => command?.$case))}` },
    )
  }

  /** Publishes an event to the user, to a resource where one is given. */
  tell(to: string, event: NonNullable<Event['event']>, change: Partial<Event> = {}): void {
    const [user = '', resource] = to.split('/')
    const lane = eventLane(this.instance, partitionOf(user, 32))
    this.worker.publisher(lane, eventCodec).publish({
      key: `event-${++this.#events}`,
      user,
      resources: resource === undefined ? [] : [resource],
      backend: 0,
      epoch: this.epoch,
      atMs: Date.now(),
      traceparent: '',
      event,
      ...change,
    })
  }

  open(sealed: Sealed | undefined): string {
    return sealed === undefined ? '' : Buffer.from(openSealed(this.keys.privateKey, sealed)).toString()
  }

  async #open(): Promise<void> {
    const { router, worker, instance } = this
    const rawKey = { encode: (value: Uint8Array) => value, decode: (bytes: Uint8Array) => bytes }
    await router.table('keys', rawKey).put(publicKeyKey(instance), this.keys.publicKey)
    await worker
      .table('manifests', protoValue(InstanceManifest))
      .put(manifestKey(instance), { network: 'irc', manifestJson: JSON.stringify(manifest) })
    router.serve(RouterDefinition, {
      login: async ({ user }) => {
        this.logins.push(user)
        if (!this.registered.has(user)) throw new NetworkError('not-registered', 'Register first.')
        const placement = {
          backend: 0,
          generation: ++this.#generation,
          state: Placement_State.STATE_STARTED,
          movedFrom: undefined,
        }
        this.placed.set(user, placement)
        await router.table('placements', protoValue(Placement)).put(placementKey(instance, user), placement)
        return placement
      },
      getRegistration: async ({ user }) => {
        this.asked++
        await this.mayTell
        const found = this.registered.get(user)
        return { isRegistered: found !== undefined, username: found?.username ?? '' }
      },
      register: async ({ user, username, password }) => {
        const wasRegistered = this.registered.has(user)
        this.registered.set(user, { username, password: this.open(password) })
        return { wasRegistered }
      },
      unregister: async ({ user }) => ({ wasRegistered: this.registered.delete(user), contacts: ['juliet'] }),
    })
    const ownership = await worker.owners.acquire(backendResource(instance, 0))
    if (ownership === undefined) throw new Error('the backend is taken')
    await worker.consume(commandLane(instance, 0), commandCodec, ownership, {
      onItem: delivery => {
        this.commands.push(delivery.item)
        this.#unread.push(delivery.item)
        delivery.finish()
      },
      onLost: () => undefined,
    })
  }
}
