import { type Bus, instancePrefix, protoValue, userOfKey } from '@spectrum/bus'
import { Placement, Placement_State } from '@spectrum/messages'

/** What the placements say. */
export interface Recounted {
  readonly usersOn: ReadonlyMap<number, number>
  /** Users whose move somebody began and did not finish. */
  readonly unfinishedMoves: readonly string[]
}

/**
 * Reads every placement of the instance, while users go on moving.
 *
 * @param moved - where users count whose placement changed since the reading began; grows meanwhile
 */
export async function countPlacements(
  bus: Bus,
  instance: string,
  moved: ReadonlyMap<string, readonly number[]>,
): Promise<Recounted> {
  const placements = bus.table('placements', protoValue(Placement))
  // Looked at only when all is read: a user may move while we read.
  const seen: [user: string, backend: number][] = []
  const moving: string[] = []
  for await (const { key, value } of placements.list(instancePrefix(instance))) {
    const user = userOfKey(key)
    seen.push([user, value.backend])
    if (value.movedFrom && value.state !== Placement_State.STATE_STARTED) moving.push(user)
  }
  const usersOn = new Map<number, number>()
  const add = (backend: number) => usersOn.set(backend, (usersOn.get(backend) ?? 0) + 1)
  for (const [user, backend] of seen) if (!moved.has(user)) add(backend)
  for (const backends of moved.values()) for (const backend of backends) add(backend)
  return { usersOn, unfinishedMoves: moving.filter(user => !moved.has(user)) }
}
