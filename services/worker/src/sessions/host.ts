import type { Host, NetworkEvent } from '@spectrum/network'
import type { LoginTurn } from '../logins/login-queue.ts'
import type { Session } from './session.ts'
import type { Sockets } from './sockets.ts'

/** `leaving`: the network was told to close and has not yet. */
export type Phase = 'open' | 'leaving' | 'over'

/**
 * What others said while the network was being left. It has come, and comes to nobody else: the next connection is not told
 * again. All other events describe how things are; the next connection sees that for itself.
 */
const isSaid: ReadonlySet<NetworkEvent['type']> = new Set([
  'message',
  'edit',
  'retraction',
  'reactions',
  'receipt',
  'message-failed',
  'attention',
  'authorization-request',
  'room-invitation',
])

/** What the network's session gets for one attempt; when that is over, nothing it says counts any more. */
export function createHost(
  session: Session,
  sockets: Sockets,
  signal: AbortSignal,
  phase: () => Phase,
  online: () => void,
  /** The session is about to log in to this host. */
  asked: (host: string) => void,
): Host {
  const { context } = session
  const admit = (host: string, over: AbortSignal): Promise<LoginTurn> => {
    asked(host)
    return context.logins.admit(host, session.lastActiveMs, over)
  }
  return {
    log: session.log,
    clock: context.clock,
    product: context.product,
    emit(event) {
      const now = phase()
      if (now === 'open' || (now === 'leaving' && isSaid.has(event.type))) session.receive(event)
      else session.suppressed(event.type, 'stale-connection')
    },
    flushed: () => session.events.lane.durable(),
    state(state) {
      if (state === 'online') online()
    },
    saveAccount: change => session.saveAccount(change),
    async admit(host, ownSignal) {
      const turn = await admit(host, AbortSignal.any([signal, ownSignal]))
      // How such a network is answered only it knows.
      turn.answered()
    },
    async connect(target, ownSignal) {
      const over = AbortSignal.any([signal, ownSignal])
      const turn = await admit(target.host, over)
      const socket = await context.connect(target, over, () => turn.answered())
      sockets.add(socket)
      return socket
    },
  }
}
