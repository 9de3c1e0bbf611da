import { type Account, isFailureCode, NetworkError } from '@spectrum/network'

/**
 * Everybody may sign in, with any password or none, but for two kinds of password that rehearse a failure: `wrong`,
 * and the code of any failure (`unreachable`, `rate-limited` …).
 */
export function checkLogin({ password }: Account): void {
  if (password === undefined) return
  if (password === 'wrong') throw new NetworkError('wrong-credentials', 'The parrots do not recognise this password.')
  if (isFailureCode(password)) throw new NetworkError(password, `The parrots refuse on demand: ${password}.`)
}
