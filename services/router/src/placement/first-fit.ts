import { MinHeap } from './min-heap.ts'

/** Who a backend is for: everybody who logs in, or users who were moved because they are idle. */
export type Pool = 'normal' | 'long-run'

interface Slot {
  readonly pool: Pool
  users: number
  /** False: gets no new users. */
  isOpen: boolean
  /** In the heap of its pool. */
  isOffered: boolean
}

/**
 * Which backend the next user sits on: the one with the lowest number that is open and has room. Knows numbers and counts
 * only, and does nothing but count; a place is taken in logarithmic time however many backends and users there are.
 */
export class FirstFit {
  readonly capacity: number
  readonly #slots = new Map<number, Slot>()
  readonly #offered: Record<Pool, MinHeap> = { normal: new MinHeap(), 'long-run': new MinHeap() }
  readonly #empty: Record<Pool, Set<number>> = { normal: new Set(), 'long-run': new Set() }
  #users = 0
  /** No number below it is free. */
  #lowestGap = 0

  /** @param capacity most users on one backend */
  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** On all backends. */
  get users(): number {
    return this.#users
  }

  /** Backends there are, open or not. */
  get size(): number {
    return this.#slots.size
  }

  numbers(): Iterable<number> {
    return this.#slots.keys()
  }

  has(number: number): boolean {
    return this.#slots.has(number)
  }

  usersOn(number: number): number {
    return this.#slots.get(number)?.users ?? 0
  }

  isOpen(number: number): boolean {
    return this.#slots.get(number)?.isOpen ?? false
  }

  poolOf(number: number): Pool | undefined {
    return this.#slots.get(number)?.pool
  }

  /** Open backends without users, in no order. */
  empty(pool: Pool): ReadonlySet<number> {
    return this.#empty[pool]
  }

  /** The lowest number that no backend has. */
  get freeNumber(): number {
    while (this.#slots.has(this.#lowestGap)) this.#lowestGap++
    return this.#lowestGap
  }

  add(number: number, { pool = 'normal', users = 0, isOpen = true }: Partial<Omit<Slot, 'isOffered'>> = {}): void {
    if (this.#slots.has(number)) throw new RangeError(`backend ${number} is there already`)
    const slot: Slot = { pool, users, isOpen, isOffered: false }
    this.#slots.set(number, slot)
    this.#users += users
    this.#offer(number, slot)
  }

  remove(number: number): void {
    const slot = this.#slots.get(number)
    if (slot === undefined) return
    this.#slots.delete(number)
    this.#empty[slot.pool].delete(number)
    this.#users -= slot.users
    this.#lowestGap = Math.min(this.#lowestGap, number)
  }

  /** Gives the backend no new users. */
  close(number: number): void {
    const slot = this.#slots.get(number)
    if (slot === undefined) return
    slot.isOpen = false
    this.#empty[slot.pool].delete(number)
  }

  /** Takes a place on the first backend with room; undefined when all are full. */
  take(pool: Pool = 'normal'): number | undefined {
    const offered = this.#offered[pool]
    for (let number = offered.smallest; number !== undefined; number = offered.smallest) {
      const slot = this.#slots.get(number)
      if (slot?.pool === pool && slot.isOffered && this.#hasRoom(slot)) {
        this.#count(number, slot, slot.users + 1)
        return number
      }
      // Full, closed or gone since it was offered; offered again when somebody leaves.
      offered.removeSmallest()
      if (slot?.pool === pool) slot.isOffered = false
    }
    return undefined
  }

  /** Takes a place on that backend, though it may be full or closed: for a user who is there already. */
  takeOn(number: number): void {
    const slot = this.#slots.get(number)
    if (slot !== undefined) this.#count(number, slot, slot.users + 1)
  }

  /** Somebody left. */
  leave(number: number): void {
    const slot = this.#slots.get(number)
    if (slot !== undefined && slot.users > 0) this.#count(number, slot, slot.users - 1)
  }

  /** What a new count found. */
  recounted(number: number, users: number): void {
    const slot = this.#slots.get(number)
    if (slot !== undefined) this.#count(number, slot, users)
  }

  #count(number: number, slot: Slot, users: number): void {
    this.#users += users - slot.users
    slot.users = users
    this.#offer(number, slot)
  }

  #offer(number: number, slot: Slot): void {
    if (slot.isOpen && slot.users === 0) this.#empty[slot.pool].add(number)
    else this.#empty[slot.pool].delete(number)
    if (slot.isOffered || !this.#hasRoom(slot)) return
    slot.isOffered = true
    this.#offered[slot.pool].add(number)
  }

  #hasRoom(slot: Slot): boolean {
    return slot.isOpen && slot.users < this.capacity
  }
}
