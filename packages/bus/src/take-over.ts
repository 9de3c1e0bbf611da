import type { Bucket } from './bucket.ts'
import type { Connection } from './connection.ts'
import { type CursorRecord, emptyCursor } from './cursor.ts'
import type { Ownership } from './ownership.ts'
import { jetStreamApi, type Lane, laneFilter } from './subjects.ts'
import { ConflictError } from './table.ts'
import { afterDeath } from './trial.ts'

/** The lane was lost before or while it was taken over. */
export class FencedError extends Error {
  override name = 'FencedError'
}

/** Raises the epoch of a lane's cursor to the ownership's, by compare-and-set: from then on no older owner can move it. */
export async function takeOver(
  { cursors, process, connection }: { cursors: Bucket<CursorRecord>; process: string; connection: Connection },
  lane: Lane,
  ownership: Ownership,
): Promise<{ record: CursorRecord; revision: number }> {
  const until = ownership.isTakeOver ? await endOf(connection, lane) : 0
  for (;;) {
    const entry = await cursors.get(lane.key)
    const old = entry?.value ?? emptyCursor
    if (old.epoch > ownership.epoch || (old.epoch === ownership.epoch && old.owner !== process)) {
      const reason = `the cursor of ${lane.key} is at epoch ${old.epoch}`
      ownership.lose(reason)
      throw new FencedError(reason)
    }
    const { crashes: before, ...rest } = old
    const crashes = ownership.isTakeOver ? afterDeath(old, until) : before
    const record = { ...rest, epoch: ownership.epoch, owner: process, ...(crashes ? { crashes } : {}) }
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
