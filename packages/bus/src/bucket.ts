import { headers as createHeaders } from '@nats-io/transport-node'
import { type Connection, errCodes, JetStreamError, parseApiReply } from './connection.ts'
import { guarded } from './listeners.ts'
import type { Readers } from './reader.ts'
import type { Streams } from './streams.ts'
import { bucketStream, bucketSubject, jetStreamApi, keyOfSubject, type TableName } from './subjects.ts'
import { ConflictError, type Entry, type Table, type ValueCodec } from './table.ts'

const operationHeader = 'KV-Operation'
const expectedHeader = 'Nats-Expected-Last-Subject-Sequence'
/** The revision of a record that was got directly. */
const sequenceHeader = 'Nats-Sequence'
const notFoundStatus = 404
/** A replica that dies leaves a question without an answer. */
const directTimeoutMs = 1000
const timeoutMs = 2000
/** Entries that a listing holds in memory before it stops the server. */
const maxListedAhead = 1000

interface Found {
  data: Uint8Array
  revision: number
  isDeleted: boolean
}

interface StoredMessage {
  message: { seq: number; data?: string; hdrs?: string }
}

/** A table as a NATS KV bucket (layout of the clients' key-value stores, ADR-8), over plain requests. */
export class Bucket<T> implements Table<T> {
  readonly #connection: Connection
  readonly #readers: Readers
  readonly #name: TableName
  readonly #codec: ValueCodec<T>
  readonly #heartbeatMs: number
  readonly #streams: Streams

  constructor(
    parts: { readers: Readers; streams: Streams; heartbeatMs: number },
    name: TableName,
    codec: ValueCodec<T>,
  ) {
    const { readers, streams, heartbeatMs } = parts
    this.#readers = readers
    this.#streams = streams
    this.#connection = readers.connection
    this.#name = name
    this.#codec = codec
    this.#heartbeatMs = heartbeatMs
  }

  async get(key: string, options?: { mayBeStale?: boolean }): Promise<Entry<T> | undefined> {
    const found = options?.mayBeStale ? await this.#lastOfAny(key) : await this.#last(key)
    if (!found || found.isDeleted) return undefined
    const value = this.#decode(key, found.data)
    return value === undefined ? undefined : { key, value, revision: found.revision }
  }

  async create(key: string, value: T): Promise<number> {
    try {
      return await this.#write(key, this.#codec.encode(value), 0)
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
      // What is there may be the mark of a deletion, or nothing that anybody can read.
      const found = await this.#last(key)
      if (!found || !(found.isDeleted || this.#decode(key, found.data) === undefined)) throw error
      return this.#write(key, this.#codec.encode(value), found.revision)
    }
  }

  update(key: string, value: T, revision: number, withinMs?: number): Promise<number> {
    return this.#write(key, this.#codec.encode(value), revision, undefined, withinMs)
  }

  put(key: string, value: T): Promise<number> {
    return this.#write(key, this.#codec.encode(value))
  }

  async delete(key: string, revision?: number): Promise<void> {
    await this.#write(key, new Uint8Array(), revision, 'DEL')
  }

  async *list(prefix = ''): AsyncIterable<Entry<T>> {
    let entries: Entry<T>[] = []
    let isDone = false
    let wake: () => void = () => {}
    const reader = await this.#readers.open({
      stream: bucketStream(this.#name),
      filter: this.#filter(prefix),
      start: 'last-per-subject',
      heartbeatMs: this.#heartbeatMs,
      onMessage: message => {
        if (entries.length >= maxListedAhead) return false
        const { entry } = this.#read(message)
        if (entry !== undefined) entries.push(entry)
        wake()
        return true
      },
      onCaughtUp: () => {
        isDone = true
        wake()
      },
    })
    try {
      for (;;) {
        const ready = entries
        entries = []
        yield* ready
        if (entries.length > 0) continue
        if (isDone) return
        // Registered before the resume: what it brings must find somebody to wake.
        const woken = new Promise<void>(resolve => {
          wake = resolve
        })
        reader.resume()
        await woken
      }
    } finally {
      reader.close()
    }
  }

  async watch(prefix: string, listener: (key: string, entry: Entry<T> | undefined) => void): Promise<Disposable> {
    let caughtUp: () => void = () => {}
    const isCaughtUp = new Promise<void>(resolve => {
      caughtUp = resolve
    })
    const reader = await this.#readers.open({
      stream: bucketStream(this.#name),
      filter: this.#filter(prefix),
      start: 'last-per-subject',
      heartbeatMs: this.#heartbeatMs,
      onMessage: message => {
        const { key, isDeleted, entry } = this.#read(message)
        // Of whoever wrote what nobody can read, it is not known that they are gone.
        if (isDeleted || entry !== undefined) guarded(this.#connection.log, () => listener(key, entry))
        return true
      },
      onCaughtUp: () => caughtUp(),
    })
    await isCaughtUp
    return { [Symbol.dispose]: () => reader.close() }
  }

  #filter(prefix: string): string {
    if (prefix !== '' && !prefix.endsWith('.')) return bucketSubject(this.#name, `${prefix}.>`)
    return bucketSubject(this.#name, `${prefix}>`)
  }

  #read(message: {
    subject: string
    sequence: number
    data: Uint8Array
    message: { headers?: { has(name: string): boolean } }
  }): { key: string; isDeleted: boolean; entry: Entry<T> | undefined } {
    const isDeleted = message.message.headers?.has(operationHeader) ?? false
    const key = keyOfSubject(this.#name, message.subject)
    const value = isDeleted ? undefined : this.#decode(key, message.data)
    return { key, isDeleted, entry: value === undefined ? undefined : { key, value, revision: message.sequence } }
  }

  /** A record that cannot be read must not end the watch of the others. */
  #decode(key: string, data: Uint8Array): T | undefined {
    try {
      return this.#codec.decode(data)
    } catch (error) {
      this.#connection.count('bus_dropped', { reason: 'undecodable-record', table: this.#name })
      this.#connection.log.error({ err: error, table: this.#name, key }, 'a record cannot be decoded')
      return undefined
    }
  }

  /** From whichever replica is nearest; from the leader when none may be asked, or none answers. */
  async #lastOfAny(key: string): Promise<Found | undefined> {
    const stream = bucketStream(this.#name)
    if (!this.#streams.allowsDirect(stream)) return this.#last(key)
    const subject = jetStreamApi.getDirect(stream, bucketSubject(this.#name, key))
    // Whatever is wrong there, the leader's own answer tells.
    const reply = await this.#connection.request(subject, '', directTimeoutMs).catch(() => undefined)
    if (reply?.headers?.code === notFoundStatus) return undefined
    const revision = Number(reply?.headers?.get(sequenceHeader))
    if (!reply || !(revision > 0)) return this.#last(key)
    return { data: reply.data, revision, isDeleted: reply.headers?.has(operationHeader) ?? false }
  }

  /** From the stream's leader: a replica may answer with an older one. */
  async #last(key: string): Promise<Found | undefined> {
    try {
      const { message } = await this.#connection.api<StoredMessage>(
        jetStreamApi.getMessage(bucketStream(this.#name)),
        { last_by_subj: bucketSubject(this.#name, key) },
        timeoutMs,
      )
      const isDeleted = Buffer.from(message.hdrs ?? '', 'base64').includes(`${operationHeader}:`)
      return { data: Buffer.from(message.data ?? '', 'base64'), revision: message.seq, isDeleted }
    } catch (error) {
      if (error instanceof JetStreamError && error.errCode === errCodes.noMessage) return undefined
      throw error
    }
  }

  async #write(
    key: string,
    data: Uint8Array,
    revision?: number,
    operation?: string,
    withinMs = timeoutMs,
  ): Promise<number> {
    const headers = createHeaders()
    if (revision !== undefined) headers.set(expectedHeader, String(revision))
    if (operation) headers.set(operationHeader, operation)
    const reply = await this.#connection.request(bucketSubject(this.#name, key), data, withinMs, headers)
    try {
      return parseApiReply<{ seq: number }>(reply.data).seq
    } catch (error) {
      if (error instanceof JetStreamError && error.errCode === errCodes.wrongLastSequence) throw new ConflictError(key)
      throw error
    }
  }
}
