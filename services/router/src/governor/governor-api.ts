import type { Handlers } from '@spectrum/bus'
import type { RouterDefinition } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import type { LoginGovernor } from './login-governor.ts'

/** What workers ask of the leading router about logins. `mayAct`: false once another router may lead. */
export function governorApi(governor: LoginGovernor, mayAct: () => boolean): Handlers<RouterDefinition> {
  const assertLeads = () => {
    if (!mayAct()) throw new NetworkError('unavailable', 'This router does not lead any more.')
  }
  return {
    async takeLoginTurns({ process, wishes }, { from, service }) {
      if (service !== 'worker' || process !== from)
        throw new NetworkError('not-allowed', 'Only a worker may ask this, and only for itself.')
      assertLeads()
      return { grants: governor.take(process, wishes) }
    },

    async reportThrottling({ host, source }, { service }) {
      if (service !== 'worker') throw new NetworkError('not-allowed', 'Only a worker may report this.')
      assertLeads()
      governor.throttled(host, source)
      return {}
    },
  }
}
