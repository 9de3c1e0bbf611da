import type { Findings } from './findings.ts'
import { findKnownLater, isHarmless, knownLater } from './known-later.ts'
import { nearest } from './nearest.ts'
import type { Sources } from './sources.ts'
import { readBoolean } from './values.ts'

/**
 * Says what becomes of options that no schema claimed: known ones that are not acted on warn or stop the start, unknown
 * ones warn with the name that may have been meant, and are a mistake on the command line.
 *
 * @param claimed options that a schema has
 * @param belongsElsewhere true for options of networks whose schema this process does not have
 */
export function judgeUnclaimed(
  { byOption, jid }: Sources,
  claimed: ReadonlySet<string>,
  belongsElsewhere: (option: string) => boolean,
  findings: Findings,
): void {
  const names = [...claimed, ...knownLater.map(({ option }) => option)]
  for (const [option, given] of byOption) {
    const [first] = given
    if (!first || claimed.has(option) || belongsElsewhere(option)) continue
    const known = findKnownLater(option)
    if (!known) {
      const meant = nearest(option, names)
      const sentence = `is not a known option${meant ? `; did you mean ${meant}?` : ''}`
      if (first.where.startsWith('-')) findings.mistake(first, sentence)
      else findings.unknownOption(first, sentence)
    } else {
      const asking = given.find(({ value }) => !isHarmless(known, value, jid))
      if (!asking) continue
      const reading = known.isBoolean ? readBoolean(asking.value) : { value: asking.value }
      const sentence = 'mistake' in reading ? reading.mistake : known.sentence
      if (known.then === 'refuse') findings.mistake(asking, sentence)
      else findings.warn(asking, sentence)
    }
  }
}
