import type { Host } from '@spectrum/network'
import type { Session } from './session.ts'
import type { Sockets } from './sockets.ts'

/** What the network's session gets for one attempt; when that is over, nothing it says counts any more. */
export function createHost(
  session: Session,
  sockets: Sockets,
  signal: AbortSignal,
  isCurrent: () => boolean,
  online: () => void,
): Host {
  const { context } = session
  return {
    log: session.log,
    clock: context.clock,
    product: context.product,
    emit(event) {
      if (isCurrent()) session.receive(event)
      else session.suppressed(event.type, 'stale-connection')
    },
    flushed: () => session.events.lane.durable(),
    state(state) {
      if (state === 'online') online()
    },
    saveAccount: change => session.saveAccount(change),
    async connect(target, ownSignal) {
      const socket = await context.connect(target, AbortSignal.any([signal, ownSignal]))
      sockets.add(socket)
      return socket
    },
  }
}
