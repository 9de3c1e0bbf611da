import type { Config } from '@spectrum/config'
import type { RouterMetrics } from '../metrics.ts'
import { LoginGovernor } from './login-governor.ts'

/** The governor of one term of leadership, as `[logins]` says. */
export function startGovernor({ logins }: Pick<Config, 'logins'>, metrics: RouterMetrics): LoginGovernor {
  return new LoginGovernor({
    rate: logins.rate,
    burst: logins.burst,
    hosts: new Map(logins.host.map(({ host, ...allowance }) => [host, allowance])),
    now: () => performance.now(),
    onGranted: turns => metrics.loginTurns.inc({ result: 'granted' }, turns),
    onThrottled: () => metrics.loginThrottled.inc(),
    onRefused: reason => metrics.loginTurns.inc({ result: reason }),
  })
}
