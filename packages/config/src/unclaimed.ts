import type { Findings } from './findings.ts'
import type { Given } from './given.ts'
import { findKnownLater, isHarmless, knownLater } from './known-later.ts'
import { nearest } from './nearest.ts'
import type { Sources } from './sources.ts'
import { readBoolean } from './values.ts'

/**
 * Says what becomes of options that no schema claimed: known ones that are not acted on warn or stop the start, unknown
 * ones warn with the name that may have been meant, and are a mistake on the command line. A section whose name looks like
 * a mistyped one is told once, for all that stands in it.
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
  const mistyped = new MistypedSections(names)
  for (const [option, given] of byOption) {
    const [first] = given
    if (!first || claimed.has(option) || belongsElsewhere(option) || mistyped.judge(first, findings)) continue
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

/** Sections of the file that resemble a known one: each is told once, at its first option. */
class MistypedSections {
  readonly #known: ReadonlySet<string>
  readonly #told = new Set<string>()

  constructor(options: readonly string[]) {
    this.#known = new Set(options.map(sectionOf))
  }

  /** Whether what is given stands in such a section, and nothing more need be said of it. */
  judge({ option, where }: Given, findings: Findings): boolean {
    const section = sectionOf(option)
    if (where.startsWith('-') || section === '' || this.#known.has(section)) return false
    const meant = nearest(section, this.#known)
    if (meant === undefined) return false
    const sentence = `is not a known section; did you mean [${meant}]? Nothing in it is used`
    if (!this.#told.has(section)) findings.unknownOption({ option: `[${section}]`, where }, sentence)
    this.#told.add(section)
    return true
  }
}

const sectionOf = (option: string): string => option.slice(0, Math.max(0, option.indexOf('.')))
