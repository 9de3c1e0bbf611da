import type { Bucket } from './bucket.ts'
import { type Connection, errCodes, JetStreamError } from './connection.ts'
import { type CursorRecord, emptyCursor } from './cursor.ts'
import type { Ownership } from './ownership.ts'
import type { Readers } from './reader.ts'
import type { Streams } from './streams.ts'
import { jetStreamApi, type Lane, laneFilter } from './subjects.ts'
import { ConflictError } from './table.ts'
import { afterDeath } from './trial.ts'

/** The lane was lost before or while it was taken over. */
export class FencedError extends Error {
  override name = 'FencedError'
}

interface TakeOverContext {
  readonly cursors: Bucket<CursorRecord>
  readonly process: string
  readonly connection: Connection
  readonly readers: Readers
  readonly streams: Streams
}

/**
 * Raises the epoch of a lane's cursor to the ownership's, by compare-and-set: from then on no older owner can move it. Of a
 * cursor that is about another stream of the name nothing else is taken over: its owner may have stood still while NATS lost its
 * data, and have written it after that.
 */
export async function takeOver(
  context: TakeOverContext,
  lane: Lane,
  ownership: Ownership,
): Promise<{ record: CursorRecord; revision: number }> {
  const { cursors, process, connection } = context
  const stream = await streamOf(context, lane)
  const until = ownership.isTakeOver ? await endOf(connection, lane) : 0
  for (;;) {
    const entry = await cursors.get(lane.key)
    const found = entry?.value ?? emptyCursor
    const isOfThisStream = found.stream === undefined || found.stream === stream
    const old = isOfThisStream ? found : { ...emptyCursor, epoch: found.epoch, owner: found.owner }
    if (old.epoch > ownership.epoch || (old.epoch === ownership.epoch && old.owner !== process)) {
      const reason = `the cursor of ${lane.key} is at epoch ${old.epoch}`
      ownership.lose(reason)
      throw new FencedError(reason)
    }
    const { crashes: before, ...rest } = old
    const crashes = ownership.isTakeOver ? afterDeath(old, until) : before
    const record = { ...rest, epoch: ownership.epoch, owner: process, stream, ...(crashes ? { crashes } : {}) }
    try {
      const revision = entry
        ? await cursors.update(lane.key, record, entry.revision)
        : await cursors.create(lane.key, record)
      return { record, revision }
    } catch (error) {
      if (!(error instanceof ConflictError)) throw error
    }
  }
}

/** Tells the lane's stream from others of its name; makes it where there is none. */
async function streamOf({ readers, streams }: TakeOverContext, lane: Lane): Promise<string> {
  await streams.ensureLane(lane)
  try {
    return await readers.createdOf(lane.stream)
  } catch (error) {
    if (!(error instanceof JetStreamError) || error.errCode !== errCodes.streamNotFound) throw error
    streams.forget(lane.stream)
    await streams.ensureLane(lane)
    return readers.createdOf(lane.stream)
  }
}

/** The last sequence that the lane may hold: the stream's, of all its lanes, or 0 when this one is empty. */
async function endOf(connection: Connection, lane: Lane): Promise<number> {
  interface Info {
    state: { last_seq: number; subjects?: Record<string, number> | null }
  }
  const { state } = await connection.api<Info>(jetStreamApi.streamInfo(lane.stream), {
    subjects_filter: laneFilter(lane),
  })
  return Object.keys(state.subjects ?? {}).length === 0 ? 0 : state.last_seq
}
