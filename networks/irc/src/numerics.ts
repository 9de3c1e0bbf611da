import type { FailureCode } from '@spectrum/network'

/** Why a server refuses a JOIN, by numeric. */
export const joinFailures: Readonly<Record<string, FailureCode>> = {
  '403': 'not-found',
  '405': 'unavailable',
  '407': 'unavailable',
  '437': 'unavailable',
  '470': 'not-allowed',
  '471': 'room-full',
  '473': 'members-only',
  '474': 'not-allowed',
  '475': 'not-authorized',
  '476': 'bad-address',
  '477': 'members-only',
  '479': 'bad-address',
  '480': 'not-allowed',
  '489': 'not-allowed',
  '500': 'rate-limited',
  '520': 'not-allowed',
}

/** Why a server refuses a line that was said, when it names whom it was for. */
export const messageFailures: Readonly<Record<string, FailureCode>> = {
  '401': 'not-found',
  '403': 'not-found',
  '404': 'not-allowed',
  '408': 'not-allowed',
  '439': 'rate-limited',
  '477': 'not-allowed',
  '486': 'not-allowed',
  '489': 'not-allowed',
  '492': 'not-allowed',
  '531': 'not-allowed',
}

/** What answers a NICK that is not done. */
export const nickRefusals: ReadonlySet<string> = new Set(['432', '433', '436', '437', '438', '447', '484'])

/** Why a server refuses a command about a channel or somebody in it. */
export const commandFailures: Readonly<Record<string, FailureCode>> = {
  '401': 'not-found',
  '403': 'not-found',
  '406': 'not-found',
  '432': 'not-acceptable',
  '433': 'conflict',
  '436': 'conflict',
  '437': 'unavailable',
  '438': 'rate-limited',
  '441': 'not-found',
  '442': 'not-joined',
  '443': 'conflict',
  '447': 'not-allowed',
  '461': 'bad-request',
  '472': 'not-supported',
  '478': 'unavailable',
  '481': 'not-allowed',
  '482': 'not-allowed',
  '484': 'not-allowed',
  '485': 'not-allowed',
  '499': 'not-allowed',
}
