import { type Bus, commandLane, numberOfKey } from '@spectrum/bus'

/** Lanes that one stream holds. */
const perStream = 500

/** Backends whose command lanes hold anything, of all streams up to the one after that of `highest`. */
export async function busyBackends(bus: Bus, instance: string, highest: number): Promise<Set<number>> {
  const busy = new Set<number>()
  for (let first = 0; first <= highest + perStream; first += perStream)
    for (const subject of (await bus.heldLanes(commandLane(instance, first))).keys()) busy.add(numberOfKey(subject))
  return busy
}
