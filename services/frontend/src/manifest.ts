import { type Bus, manifestKey, protoValue } from '@spectrum/bus'
import { InstanceManifest } from '@spectrum/messages'
import type { Logger, NetworkManifest } from '@spectrum/network'

/** What the instance's network can do, as its workers say it. */
export class ManifestWatch implements AsyncDisposable {
  #network = ''
  #current: NetworkManifest | undefined
  #roomPattern: RegExp | undefined
  readonly #log: Logger
  readonly #arrived = Promise.withResolvers<void>()
  readonly #onChange: (manifest: NetworkManifest) => void
  #watch: Disposable | undefined

  constructor(log: Logger, onChange: (manifest: NetworkManifest) => void) {
    this.#log = log
    this.#onChange = onChange
  }

  async start(bus: Bus, instance: string): Promise<void> {
    const key = manifestKey(instance)
    const table = bus.table<InstanceManifest>('manifests', protoValue(InstanceManifest))
    this.#watch = await table.watch('', (changed, entry) => {
      if (changed === key && entry !== undefined) this.#set(entry.value)
    })
  }

  /** `undefined` until a worker has told. */
  get current(): NetworkManifest | undefined {
    return this.#current
  }

  /** Id of the network, empty until a worker has told. */
  get network(): string {
    return this.#network
  }

  /** Waits for the first manifest, `deadlineMs` at most: an outside backend may take its time to tell. */
  async within(deadlineMs: number): Promise<NetworkManifest | undefined> {
    if (this.#current !== undefined) return this.#current
    const timer = Promise.withResolvers<void>()
    const timeout = setTimeout(timer.resolve, deadlineMs)
    await Promise.race([this.#arrived.promise, timer.promise])
    clearTimeout(timeout)
    return this.#current
  }

  /** Whether the name is a room's: `undefined` where the network cannot tell by the name. */
  isRoom(name: string): boolean | undefined {
    if (this.#current?.hasRooms === false) return false
    return this.#roomPattern?.test(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.[Symbol.dispose]()
  }

  #set({ network, manifestJson }: InstanceManifest): void {
    try {
      const manifest = JSON.parse(manifestJson) as NetworkManifest
      this.#roomPattern = manifest.roomPattern === undefined ? undefined : new RegExp(manifest.roomPattern, 'u')
      this.#current = manifest
    } catch (error) {
      this.#log.error({ err: error, network }, 'the manifest of the network cannot be read')
      return
    }
    this.#network = network
    this.#onChange(this.#current)
    this.#arrived.resolve()
  }
}
