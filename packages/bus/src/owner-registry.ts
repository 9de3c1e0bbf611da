import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from '@spectrum/network'
import type { Bucket } from './bucket.ts'
import type { Connection } from './connection.ts'
import type { DeathWatch } from './death-watch.ts'
import type { Heartbeat } from './heartbeat.ts'
import { Listeners } from './listeners.ts'
import type { ServiceName } from './options.ts'
import type { Owner, Owners, Ownership, ProcessInfo } from './ownership.ts'
import { ConflictError, type Entry } from './table.ts'

/** Who owns a resource. An empty process: nobody, the last owner let go of it. */
export interface OwnerRecord {
  process: string
  epoch: number
  /** Whom the last owner wishes to take it. */
  next?: string
}

export const isOwner = ({ process, epoch, next = '' }: Partial<OwnerRecord>): boolean =>
  typeof process === 'string' && Number.isSafeInteger(epoch) && typeof next === 'string'

const releaseAttempts = 5
const maxConfirming = 16
/**
 * How long after a reconnect what nobody owns is left alone: an emptied server has forgotten who does, and the owners write it
 * again when they are back themselves.
 */
const patienceForOwnersMs = 5_000

/** The owner records of a process: takes, confirms and gives back. */
export class OwnerRegistry implements Owners {
  readonly #connection: Connection
  readonly #table: Bucket<OwnerRecord>
  readonly #heartbeat: Heartbeat
  readonly #deaths: DeathWatch
  readonly #process: string
  readonly #held = new Map<string, HeldResource>()
  readonly #acquiring = new Set<string>()
  #reconnectedAt = Number.NEGATIVE_INFINITY

  constructor(parts: {
    connection: Connection
    table: Bucket<OwnerRecord>
    heartbeat: Heartbeat
    deaths: DeathWatch
    process: string
  }) {
    this.#connection = parts.connection
    this.#table = parts.table
    this.#heartbeat = parts.heartbeat
    this.#deaths = parts.deaths
    this.#process = parts.process
    this.#heartbeat.renewed.add(lapsed => this.#onRenewed(lapsed))
    this.#connection.connected.add(isConnected => {
      if (isConnected) this.#reconnectedAt = performance.now()
    })
    this.#deaths.reportedSelf.add(() => this.#suspendAll('this process was reported dead'))
  }

  async acquire(resource: string, signal?: AbortSignal): Promise<Ownership | undefined> {
    if (this.#held.has(resource) || this.#acquiring.has(resource)) return undefined
    this.#acquiring.add(resource)
    try {
      await this.#heartbeat.whenValid(signal)
      return signal?.aborted ? undefined : await this.#take(resource)
    } finally {
      this.#acquiring.delete(resource)
    }
  }

  async ownerOf(resource: string): Promise<Owner | undefined> {
    return toOwner(await this.#table.get(resource))
  }

  watch(
    prefix: string,
    listener: (resource: string, owner: Owner | undefined, next?: string) => void,
  ): Promise<Disposable> {
    return this.#table.watch(prefix, (resource, entry) => {
      const held = this.#held.get(resource)
      if (held && entry && entry.value.epoch > held.epoch) held.lose(`epoch ${entry.value.epoch} exists`)
      listener(resource, toOwner(entry), entry?.value.next)
    })
  }

  onDeath(listener: (process: string) => void): Disposable {
    return this.#deaths.deaths.add(listener)
  }

  isDead(process: string): boolean {
    return this.#deaths.isDead(process)
  }

  reportDeath(process: string): void {
    this.#deaths.report(process)
  }

  processes(service?: ServiceName): readonly ProcessInfo[] {
    return this.#deaths.processes(service)
  }

  setInfo(info: Record<string, unknown>): void {
    this.#heartbeat.setInfo(info)
  }

  get isInfoTold(): boolean {
    return this.#heartbeat.isInfoTold
  }

  /** Gives back everything. */
  async releaseAll(): Promise<void> {
    await Promise.all([...this.#held.values()].map(held => held.release()))
  }

  async #take(resource: string): Promise<Ownership | undefined> {
    const entry = await this.#table.get(resource)
    const owner = entry?.value
    // A record in our own name that we do not hold is left over from a write whose answer was lost.
    if (owner?.process && owner.process !== this.#process && !this.#deaths.isDead(owner.process)) return undefined
    if (entry === undefined && performance.now() - this.#reconnectedAt < patienceForOwnersMs) return undefined
    const record = { process: this.#process, epoch: owner ? owner.epoch + 1 : Math.floor(Date.now() / 1000) }
    try {
      const revision = entry
        ? await this.#table.update(resource, record, entry.revision)
        : await this.#table.create(resource, record)
      if (owner?.process) this.#connection.count('bus_takeovers', {})
      const held = new HeldResource(this, resource, record.epoch, revision, Boolean(owner?.process))
      this.#held.set(resource, held)
      return held
    } catch (error) {
      if (error instanceof ConflictError) return undefined
      throw error
    }
  }

  get log(): Logger {
    return this.#connection.log
  }

  isLeaseValid(): boolean {
    return this.#heartbeat.isValid()
  }

  /** The resource is in other hands, or given back. */
  forget(held: HeldResource): void {
    if (this.#held.get(held.resource) === held) this.#held.delete(held.resource)
  }

  /** Writes the record as free. What fails is left to the others' knowledge of this process's death. */
  async free(held: HeldResource, next?: string): Promise<void> {
    // With the servers away the others learn of it by this process's death.
    for (let attempt = 1; attempt <= releaseAttempts && this.#connection.isConnected; attempt++) {
      try {
        if (!(await this.#isStillMine(held))) return
        const record = { process: '', epoch: held.epoch, ...(next === undefined ? {} : { next }) }
        await this.#table.update(held.resource, record, held.revision)
        return
      } catch (error) {
        this.#connection.log.debug({ err: error, resource: held.resource }, 'a resource is not given back yet')
        await delay(50 * attempt)
      }
    }
    this.#connection.log.info({ resource: held.resource }, 'a resource could not be given back')
  }

  #onRenewed(lapsed: boolean): void {
    if (lapsed) this.#suspendAll('the lease had run out')
    else this.#confirmAll([...this.#held.values()].filter(held => held.isSuspended || held.isUnconfirmed))
  }

  /** Others may have thought us dead: nothing may be done until every record is confirmed to be ours. */
  #suspendAll(reason: string): void {
    if (this.#held.size === 0) return
    this.#connection.count('bus_suspended', {}, this.#held.size)
    this.#connection.log.warn({ reason, resources: this.#held.size }, 'owned resources are confirmed before going on')
    for (const held of this.#held.values()) held.isSuspended = true
    this.confirm()
  }

  /** Writes all own records again: an emptied server has forgotten them. */
  confirm(): void {
    this.#confirmAll([...this.#held.values()])
  }

  #confirmAll(waiting: HeldResource[]): void {
    const confirmNext = async (): Promise<void> => {
      for (let held = waiting.pop(); held; held = waiting.pop()) await this.#confirm(held)
    }
    const workers = Array.from({ length: Math.min(maxConfirming, waiting.length) }, confirmNext)
    Promise.all(workers).catch(error => {
      this.#connection.log.warn({ err: error }, 'owned resources are not confirmed yet')
    })
  }

  /**
   * By a write, not a read alone: a contender that read the record before it fails on its own compare-and-set. And not by the
   * revision that was seen last: an emptied server counts from one again, and gives the number to whoever came first.
   */
  async #confirm(held: HeldResource): Promise<void> {
    // What fails here is tried again at the next renewal.
    held.isUnconfirmed = true
    const record = { process: this.#process, epoch: held.epoch }
    const entry = await this.#table.get(held.resource)
    if (entry && !this.#isMine(held, entry)) return held.lose('another process took it over')
    try {
      held.revision = entry
        ? await this.#table.update(held.resource, record, entry.revision)
        : await this.#table.create(held.resource, record)
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      // Somebody was quicker, or our own write arrived without its answer.
      if (!(await this.#isStillMine(held))) return held.lose('another process took it over')
    }
    held.isSuspended = false
    held.isUnconfirmed = false
  }

  #isMine(held: HeldResource, { value }: Entry<OwnerRecord>): boolean {
    return value.process === this.#process && value.epoch === held.epoch
  }

  async #isStillMine(held: HeldResource): Promise<boolean> {
    const entry = await this.#table.get(held.resource)
    if (entry === undefined || !this.#isMine(held, entry)) return false
    held.revision = entry.revision
    return true
  }
}

class HeldResource implements Ownership {
  readonly resource: string
  readonly epoch: number
  revision: number
  /** Waits for confirmation after a lapse. */
  isSuspended = false
  /** Its record is being written again, and is perhaps missing. */
  isUnconfirmed = false
  readonly #registry: OwnerRegistry
  readonly #lost: Listeners<[reason: string]>
  #lostReason: string | undefined

  readonly isTakeOver: boolean

  constructor(registry: OwnerRegistry, resource: string, epoch: number, revision: number, isTakeOver: boolean) {
    this.#registry = registry
    this.#lost = new Listeners(registry.log)
    this.resource = resource
    this.epoch = epoch
    this.revision = revision
    this.isTakeOver = isTakeOver
  }

  mayAct(): boolean {
    return this.#lostReason === undefined && !this.isSuspended && this.#registry.isLeaseValid()
  }

  onLost(listener: (reason: string) => void): Disposable {
    if (this.#lostReason !== undefined) {
      listener(this.#lostReason)
      return { [Symbol.dispose]: () => undefined }
    }
    return this.#lost.add(listener)
  }

  lose(reason: string): void {
    if (this.#lostReason !== undefined) return
    this.#lostReason = reason
    this.#registry.forget(this)
    this.#lost.emit(reason)
  }

  async release(next?: string): Promise<void> {
    if (this.#lostReason !== undefined) return
    this.lose('released')
    await this.#registry.free(this, next)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }
}

function toOwner(entry: Entry<OwnerRecord> | undefined): Owner | undefined {
  if (!entry?.value.process) return undefined
  return { process: entry.value.process, epoch: entry.value.epoch }
}
