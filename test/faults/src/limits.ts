import type { Limit, Result } from './run.ts'

/** A sentence unless the figure is 0. */
const nothing =
  (what: string, of: (result: Result) => number, word?: string): Limit =>
  result =>
    of(result) === 0 ? undefined : `${what}: ${of(result)}, must be 0${examples(result, word)}`

/** Every line to IRC was delivered or answered by an error. */
export const nothingLostToIrc = nothing('lost to IRC', ({ toIrc }) => toIrc.lost, 'lost')

/** Every line to XMPP was delivered, but for those that the row allows. */
export const nothingLostToXmpp = nothing('lost to XMPP', ({ toXmpp }) => toXmpp.lost, 'lost')

export const nothingLost: readonly Limit[] = [nothingLostToIrc, nothingLostToXmpp]

export const orderKept = nothing('out of order', ({ toIrc, toXmpp }) => toIrc.disordered + toXmpp.disordered, 'after')

export const nothingDoubled = nothing('doubled', ({ toIrc, toXmpp }) => toIrc.doubled + toXmpp.doubled, 'times')

export const nothingRefused = nothing('refused', ({ toIrc, toXmpp }) => toIrc.refused + toXmpp.refused)

/** Nobody left a channel on IRC, or was told on XMPP to have left. */
export const nobodyLeft: Limit = ({ departures, removals }) =>
  departures + removals === 0 ? undefined : `left their rooms: ${departures} on IRC, ${removals} on XMPP; must be 0`

/** No line said twice on IRC beyond what the lost connections had handled in the last 50 ms. */
export const doubledAtMostLastMoment: Limit = result => {
  const { toIrc, toXmpp, handledBefore } = result
  const doubled = toIrc.doubled + toXmpp.doubled
  if (doubled <= handledBefore) return undefined
  return `doubled: ${doubled}, must be at most the ${handledBefore} handled in the last 50 ms${examples(result, 'times')}`
}

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
export const lostAtMostUnpublished: Limit = ({ toIrc, toXmpp }) => {
  const bytes = (toIrc.lost + toXmpp.lost) * stanzaBytes
  return bytes <= unpublishedBytes
    ? undefined
    : `lost: ${toIrc.lost + toXmpp.lost} lines, about ${bytes} bytes of stanzas, more than ${unpublishedBytes}`
}

/** Some lines of which the word is said. */
function examples({ toIrc, toXmpp }: Result, word?: string): string {
  if (word === undefined) return ''
  const all = [...toIrc.examples, ...toXmpp.examples].filter(example => example.includes(word))
  return all.length === 0 ? '' : ` (${all.slice(0, 5).join('; ')})`
}
