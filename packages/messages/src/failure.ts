import { isFailureCode, NetworkError } from '@spectrum/network'
import { Failure } from './gen/spectrum/v1/chat.ts'

/** A failure as it travels: its code and the words for the user; the cause stays with the process that saw it. */
export function toFailure(error: NetworkError): Failure {
  return Failure.create({ code: error.code, text: error.message })
}

/** The failure back as an error; a code that this release does not know (a newer sender's) is `unexpected`. */
export function fromFailure(failure: Failure): NetworkError {
  return new NetworkError(isFailureCode(failure.code) ? failure.code : 'unexpected', failure.text)
}
