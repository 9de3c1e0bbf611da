import { type Bus, backendResource, type CallContext, type Handlers } from '@spectrum/bus'
import { type RouterDefinition, type SavedSession, SessionSnapshot } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import type { Store } from '@spectrum/store'

export interface SaveSessionsOptions {
  readonly bus: Bus
  readonly instance: string
  readonly store: Store
  readonly onSaved: (result: 'live' | 'over', count: number) => void
}

const maxSessions = 500

/** Takes copies of live sessions from the workers that run them; any router answers. */
export function saveSessionsApi({ bus, instance, store, onSaved }: SaveSessionsOptions): Handlers<RouterDefinition> {
  return {
    async saveSessions({ process, sessions }, context) {
      if (sessions.length > maxSessions) throw new NetworkError('bad-request', 'That is too much at once.')
      await assertRunsAll(bus, instance, process, sessions, context)
      await store.liveSessions.save(
        sessions.map(({ user, backend, generation, snapshot }) => ({
          user,
          generation,
          isOnline: (snapshot?.resources.length ?? 0) > 0,
          ...(snapshot === undefined ? {} : { snapshot: SessionSnapshot.encode({ ...snapshot, backend }).finish() }),
        })),
      )
      const live = sessions.filter(({ snapshot }) => snapshot !== undefined).length
      if (live > 0) onSaved('live', live)
      if (live < sessions.length) onSaved('over', sessions.length - live)
      return {}
    },
  }
}

/** That the asking worker owns all these backends at their epochs. */
async function assertRunsAll(
  bus: Bus,
  instance: string,
  process: string,
  sessions: readonly SavedSession[],
  { from, service }: CallContext,
): Promise<void> {
  if (service !== 'worker' || process !== from || bus.owners.isDead(from))
    throw new NetworkError('not-allowed', 'Only a worker may ask this, and only for itself.')
  const epochs = new Map<number, number>()
  for (const { backend, epoch } of sessions) {
    if ((epochs.get(backend) ?? epoch) !== epoch) throw new NetworkError('bad-request', 'A backend has one epoch.')
    epochs.set(backend, epoch)
  }
  for (const [backend, epoch] of epochs) {
    const owner = await bus.owners.ownerOf(backendResource(instance, backend))
    if (owner?.process !== from || owner.epoch !== epoch)
      throw new NetworkError('not-allowed', 'Only the worker that runs the backend may ask this.')
  }
}
