import type { Limit, Result } from './judge.ts'

/** A sentence unless the figure is 0. */
const nothing =
  (what: string, of: (result: Result) => number, word?: string): Limit =>
  result =>
    of(result) === 0 ? undefined : `${what}: ${of(result)}, must be 0${examples(result, word)}`

/** Every line to IRC was delivered or answered by an error, but for those that the row allows. */
export const nothingLostToIrc = nothing('lost to IRC', ({ toIrc }) => toIrc.lost, 'lost')

/** Every line to XMPP was delivered, but for those that the row allows. */
export const nothingLostToXmpp = nothing('lost to XMPP', ({ toXmpp }) => toXmpp.lost, 'lost')

export const nothingLost: readonly Limit[] = [nothingLostToIrc, nothingLostToXmpp]

export const orderKept = nothing('out of order', ({ toIrc, toXmpp }) => toIrc.disordered + toXmpp.disordered, 'after')

const nothingDoubledToIrc = nothing('doubled to IRC', ({ toIrc }) => toIrc.doubled, 'times')

export const nothingDoubled = nothing('doubled', ({ toIrc, toXmpp }) => toIrc.doubled + toXmpp.doubled, 'times')

export const nothingRefused = nothing('refused', ({ toIrc, toXmpp }) => toIrc.refused + toXmpp.refused)

/** Nobody was told on XMPP to have left a room. */
export const nobodyRemoved = nothing('told out of their rooms on XMPP', ({ removals }) => removals)

/**
 * Nobody left a channel on IRC, or was told on XMPP to have left. Nor was anybody out of a channel before the fault: lines for
 * such a user would be excused.
 */
export const nobodyLeft: Limit = ({ departures, removals, toXmpp }) => {
  const absent = toXmpp.excused['not connected']
  return departures + removals + absent === 0
    ? undefined
    : `left their rooms: ${departures} on IRC, ${removals} on XMPP, ${absent} lines said while the witness missed them; must be 0`
}

/** Of every row: no fault is a reason for these. */
export const alwaysKept: readonly Limit[] = [
  nothing('doubled long before the fault or after it', ({ strayDoubles }) => strayDoubles, 'times'),
  nothing('did not arrive, said long before the fault or after it', ({ strayLosses }) => strayLosses, 'lost'),
  ({ noise, noises }) =>
    noise === 0
      ? undefined
      : `told of comings and goings that IRC never saw: ${noise}, must be 0 (${noises.slice(0, 5).join('; ')})`,
]

/** A sentence when more was doubled than that. */
function doubledAtMost(doubled: number, most: number, what: string, result: Result): string | undefined {
  if (doubled <= most) return undefined
  return `doubled: ${doubled}, must be at most the ${most} ${what}${examples(result, 'times')}`
}

/** No line said twice on IRC beyond what the lost connections had handled in the last 50 ms. */
export const doubledAtMostLastMoment: Limit = result => {
  const { toIrc, toXmpp, handledBefore } = result
  return doubledAtMost(toIrc.doubled + toXmpp.doubled, handledBefore, 'handled in the last 50 ms', result)
}

/** The same, and what a frozen or cut-off owner wrote after its last cursor. */
export const doubledAtMostUnrecorded: Limit = result => {
  const { toIrc, toXmpp, handledBefore, handledDuring } = result
  const most = handledBefore + handledDuring
  return doubledAtMost(toIrc.doubled + toXmpp.doubled, most, 'that the old owner wrote after its last cursor', result)
}

/** A frontend ends: to XMPP what was told last, as the next one does not know that it was; to IRC nothing. */
export const doubledAtMostLastTold: readonly Limit[] = [
  nothingDoubledToIrc,
  result => doubledAtMost(result.toXmpp.doubled, result.toldBefore, 'told in the last 50 ms', result),
]

/** Where the XMPP server or the stream to it ends: to XMPP nothing that the server had confirmed, or not only just; to IRC nothing. */
export const nothingConfirmedDoubled: readonly Limit[] = [
  nothingDoubledToIrc,
  nothing('doubled to XMPP though it was confirmed', ({ confirmedDoubles }) => confirmedDoubles, 'times'),
]

/** Everything that was said in a channel is there in the end, since this network keeps its past. */
export const gapless = nothing(
  'room lines missing although the network keeps a history',
  result => result.missingInRooms,
)

/** What a frontend may have read from the XMPP server, or not yet read, and not published. */
const unpublishedBytes = 512 * 1024
/** A chat message of the load as the component stream carries it. */
const stanzaBytes = 160

/** A component stream has no acknowledgements: what was not read, or not stored, may be gone with it. */
export const lostAtMostUnpublished: Limit = ({ toIrc }) => {
  const lines = toIrc.lost + toIrc.excused['not passed on'] + toIrc.excused['in flight']
  const bytes = lines * stanzaBytes
  return bytes <= unpublishedBytes
    ? undefined
    : `lost to IRC: ${lines} lines, about ${bytes} bytes of stanzas, more than ${unpublishedBytes}`
}

/** Some lines of which the word is said. */
function examples({ toIrc, toXmpp }: Result, word?: string): string {
  if (word === undefined) return ''
  const all = [...toIrc.examples, ...toXmpp.examples].filter(example => example.includes(word))
  return all.length === 0 ? '' : ` (${all.slice(0, 5).join('; ')})`
}
