import { type Gateway, waitUntil } from '@spectrum/stack'

/**
 * Waits until the number of snapshots that workers have written stands still: before that the last change may not be in one.
 *
 * @param everyMs - how far apart two looks are, milliseconds: further than what is awaited may be put off
 */
export async function snapshotsAreStored({ workers }: Gateway, everyMs: number): Promise<void> {
  const count = async () => {
    const labels = { result: 'written' }
    const counts = await Promise.all(workers.map(worker => worker.metric('spectrum_worker_snapshots_total', labels)))
    return counts.reduce((sum, each) => sum + each, 0)
  }
  let before = -1
  const isStill = async () => {
    const now = await count()
    const isSame = now === before
    before = now
    return isSame
  }
  await waitUntil(isStill, { everyMs, deadlineMs: 60_000, describe: () => 'snapshots are written all the time' })
}
