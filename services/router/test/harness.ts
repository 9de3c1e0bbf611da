import { join } from 'node:path'
import {
  type Bus,
  type Client,
  connectBus,
  instanceKey,
  manifestKey,
  openSealed,
  protoValue,
  publicKeyKey,
  sealTo,
} from '@spectrum/bus'
import { loadConfig } from '@spectrum/config'
import { InstanceManifest, RouterDefinition, Sealed, type SealedCredentials } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'
import { Registry } from '@spectrum/service-kit'
import { Child, type NatsServer, waitUntil } from '@spectrum/stack'
import { type RunningRouter, startRouter } from '../src/service.ts'

export const jid = 'irc.example.org'
export const instance = instanceKey(jid)

/** Keeps what was logged, for assertions and for the message of a failed one. */
export class ListLog implements Logger {
  readonly lines: string[] = []
  readonly #add = (fields: object, message: string) => {
    this.lines.push(
      `${message} ${JSON.stringify(fields, (_, value) => (value instanceof Error ? String(value) : value))}`,
    )
  }
  readonly debug = this.#add
  readonly info = this.#add
  readonly warn = this.#add
  readonly error = this.#add
  child(): ListLog {
    return this
  }
  flush(): void {}
}

/** A router in this process. */
export interface LocalRouter extends AsyncDisposable {
  readonly service: RunningRouter
  readonly registry: Registry
  readonly log: ListLog
}

/** Starts a router in this process, with options as on its command line (`--service.users_per_backend=5`). */
export async function startLocalRouter(
  nats: NatsServer,
  options: readonly string[] = [],
  env = {},
): Promise<LocalRouter> {
  const argv = [`--service.jid=${jid}`, '--service.backend=irc', `--nats.servers=${nats.url}`, ...options]
  const { config } = loadConfig({ argv, env })
  const log = new ListLog()
  const registry = new Registry()
  const stopping = new AbortController()
  const service = await startRouter({ config, log, registry, stopping: stopping.signal })
  return {
    service,
    registry,
    log,
    async [Symbol.asyncDispose]() {
      stopping.abort()
      await service[Symbol.asyncDispose]()
    },
  }
}

/** Starts a router as a process of its own, which can be killed. Secrets go in `env`. */
export function startRouterProcess(
  nats: NatsServer,
  options: readonly string[],
  env: Record<string, string>,
): Promise<Child> {
  const argv = [`--service.jid=${jid}`, '--service.backend=irc', `--nats.servers=${nats.url}`, ...options]
  return Child.start({
    name: 'router',
    command: process.execPath,
    args: [join(import.meta.dirname, '../src/main.ts'), ...argv],
    env,
    isReady: child => child.log.includes('the service runs'),
  })
}

/** A neighbour service: what the router sees of a frontend or a worker. */
export class Neighbour implements AsyncDisposable {
  readonly bus: Bus
  readonly router: Client<RouterDefinition>

  private constructor(bus: Bus) {
    this.bus = bus
    this.router = bus.client(RouterDefinition)
  }

  /** @param nkeySeed its NATS user, where the server wants to know */
  static async connect(
    nats: NatsServer,
    service: 'frontend' | 'worker',
    nkeySeed?: string,
    of: string = jid,
  ): Promise<Neighbour> {
    const log = new ListLog()
    const options = { servers: [nats.url], service, instance: instanceKey(of), log }
    return new Neighbour(await connectBus({ ...options, ...(nkeySeed && { nkeySeed }) }))
  }

  /** As a worker does when it has loaded its network. */
  async publishManifest(registration = { isRequired: true, needsPassword: true }): Promise<void> {
    const manifest = { registration, hasRooms: true, hasReceipts: false, hasRawXml: false, escapesJids: true }
    const record = InstanceManifest.create({ network: 'irc', manifestJson: JSON.stringify(manifest) })
    await this.bus.table('manifests', protoValue(InstanceManifest)).put(manifestKey(instance), record)
  }

  /** As a frontend does with the password field of a registration. */
  async seal(password: string): Promise<Sealed> {
    const table = this.bus.table('keys', { encode: (value: Uint8Array) => value, decode: (bytes: Uint8Array) => bytes })
    const entry = await waitUntil(() => table.get(publicKeyKey(instance)))
    const { nonce, ciphertext } = sealTo(entry.value, Buffer.from(password))
    return Sealed.create({ nonce: Buffer.from(nonce), ciphertext: Buffer.from(ciphertext) })
  }

  async register(user: string, username: string, password?: string): Promise<{ wasRegistered: boolean }> {
    const sealed = password === undefined ? undefined : await this.seal(password)
    return this.router.register({ user, username, password: sealed, hasPassword: sealed !== undefined })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bus[Symbol.asyncDispose]()
  }
}

/** Opens what the router sealed to a key of one's own. */
export function openReply(privateKey: Uint8Array, { publicKey, nonce, ciphertext }: SealedCredentials): Uint8Array {
  return openSealed(privateKey, { nonce, ciphertext: Buffer.concat([publicKey, ciphertext]) })
}

/** What a rejection must be like. */
export const failure = (code: string) => ({ name: 'NetworkError', code })

export async function untilLeads(router: LocalRouter): Promise<void> {
  await waitUntil(() => router.service.isLeader, { describe: () => router.log.lines.join('\n') })
}

/** One value of the router's metrics; 0 when it was never counted. */
export async function metric(router: LocalRouter, name: string, labels: Record<string, string> = {}): Promise<number> {
  const found = await router.registry.getSingleMetric(name)?.get()
  const matches = (value: { labels: Partial<Record<string, unknown>> }) =>
    Object.entries(labels).every(([label, wanted]) => value.labels[label] === wanted)
  return found?.values.find(matches)?.value ?? 0
}
