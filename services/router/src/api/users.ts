import type { Handlers } from '@spectrum/bus'
import { Placement_State, type RouterDefinition } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import { type LeaderCalls, turnMs } from '../placement/leader-calls.ts'
import type { LeaderTerm } from '../placement/leader-term.ts'
import type { StartSessions } from '../placement/start-sessions.ts'
import type { Registrar } from '../registration/registrar.ts'

export interface UsersApiOptions {
  readonly registrar: Registrar
  readonly leader: LeaderCalls
  readonly sessions: StartSessions
  /** Called for logins that need no leader. */
  readonly onLogin: (result: 'present' | 'finished') => void
  readonly onLoginFailed: (error: unknown) => void
}

/** Login and registration, answered by any router; what must be placed is forwarded to the leader. */
export function usersApi({
  registrar,
  leader,
  sessions,
  onLogin,
  onLoginFailed,
}: UsersApiOptions): Handlers<RouterDefinition> {
  return {
    async login(request, context) {
      assertUser(request.user)
      try {
        const present = await sessions.placementOf(request.user)
        if (present?.value.state === Placement_State.STATE_STARTED) {
          onLogin('present')
          return present.value
        }
        if (present) {
          const placement = await sessions.finish(
            request.user,
            present,
            () => registrar.admit(request),
            context.traceparent,
          )
          onLogin('finished')
          return placement
        }
        return await leader.login(request, context)
      } catch (error) {
        onLoginFailed(error)
        throw error
      }
    },

    async release(request) {
      assertUser(request.user)
      await leader.release(request)
      return {}
    },

    async getRegistration({ user }) {
      assertUser(user)
      return registrar.get(user)
    },

    async register(request) {
      assertUser(request.user)
      return registrar.register(request)
    },

    async unregister({ user }) {
      assertUser(user)
      return registrar.unregister(user)
    },
  }
}

/** What other routers ask of this one while it leads. */
export function leaderApi(term: LeaderTerm): Handlers<RouterDefinition> {
  return {
    login: (request, context) => term.login(request, { ...context, limitMs: turnMs }),
    async release(request) {
      await term.release(request)
      return {}
    },
    async removePlacement(request, { service }) {
      assertIsRouter(service)
      await term.removePlacement(request)
      return {}
    },
    async reportIdle(request, { service }) {
      assertIsRouter(service)
      await term.moveIdle(request)
      return {}
    },
  }
}

/** Routers have looked whether whoever asked them may ask this. */
function assertIsRouter(service: string): void {
  if (service !== 'router') throw new NetworkError('not-allowed', 'Only a router may ask this.')
}

/** A bare JID; frontends prepare it, this is the last net before it becomes a key and a row. */
function assertUser(user: string): void {
  if (user === '' || user.length > 3071 || user.includes('/'))
    throw new NetworkError('bad-request', 'This is no bare JID.')
}
