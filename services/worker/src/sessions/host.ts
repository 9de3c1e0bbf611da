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
  /** The session is about to log in to this host. */
  asked: (host: string) => void,
): Host {
  const { context } = session
  const admit = (host: string, over: AbortSignal): Promise<void> => {
    asked(host)
    return context.logins.admit(host, session.lastActiveMs, over)
  }
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
    admit: (host, ownSignal) => admit(host, AbortSignal.any([signal, ownSignal])),
    async connect(target, ownSignal) {
      const over = AbortSignal.any([signal, ownSignal])
      await admit(target.host, over)
      const socket = await context.connect(target, over)
      sockets.add(socket)
      return socket
    },
  }
}
