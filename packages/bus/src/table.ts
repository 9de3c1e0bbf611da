/** One record of a table. */
export interface Entry<T> {
  readonly key: string
  readonly value: T
  readonly revision: number
}

/** How a value becomes bytes. JSON by default; a generated protobuf type with {@link protoValue}. */
export interface ValueCodec<T> {
  encode(value: T): Uint8Array
  decode(bytes: Uint8Array): T
}

/**
 * Records with compare-and-set. One that cannot be decoded is counted and as good as none, so that it can be created anew; a watch
 * does not tell of it. Calls reject with `unavailable` NetworkErrors while the server does not answer (2 s).
 */
export interface Table<T> {
  /**
   * The record, or undefined when there is none. What a caller wrote before is seen by its next `get`.
   *
   * @param options.mayBeStale - any replica may answer, with what it has: a record that somebody changed a moment ago may come
   * in its former state, or not at all. Many at once are
   * answered several times sooner. For readers whose mistake is found
   * out, such as by a generation or by compare-and-set.
   */
  get(key: string, options?: { mayBeStale?: boolean }): Promise<Entry<T> | undefined>
  /** The revision. @throws ConflictError when it exists */
  create(key: string, value: T): Promise<number>
  /** The revision. @throws ConflictError when `revision` is not the current one */
  update(key: string, value: T, revision: number): Promise<number>
  put(key: string, value: T): Promise<number>
  /** @throws ConflictError when `revision` is given and not the current one */
  delete(key: string, revision?: number): Promise<void>
  /** The present records whose key starts with the prefix, which is whole tokens with a final dot; all by default. */
  list(prefix?: string): AsyncIterable<Entry<T>>
  /** First the present ones (before it fulfils), then changes; undefined is a deletion. Survives reconnects. */
  watch(prefix: string, listener: (key: string, entry: Entry<T> | undefined) => void): Promise<Disposable>
}

/** Somebody else wrote the record first. */
export class ConflictError extends Error {
  override name = 'ConflictError'
  readonly key: string
  constructor(key: string) {
    super(`the record ${key} was changed by somebody else`)
    this.key = key
  }
}

/** @param isRecord - whether an object that was read has what its readers rely on; what has not cannot be decoded. Default: all may be */
export function jsonValue<T>(isRecord?: (fields: Partial<T>) => boolean): ValueCodec<T> {
  return {
    encode: value => Buffer.from(JSON.stringify(value)),
    decode: bytes => {
      const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
      if (isRecord === undefined) return value as T
      if (typeof value !== 'object' || value === null || !isRecord(value)) throw new TypeError('it has another form')
      return value as T
    },
  }
}

/** A value codec from a generated protobuf type, such as `protoValue(Placement)`. */
export function protoValue<T>(type: {
  encode(message: T): { finish(): Uint8Array }
  decode(input: Uint8Array): T
}): ValueCodec<T> {
  return { encode: value => type.encode(value).finish(), decode: bytes => type.decode(bytes) }
}
