import type { Findings } from './findings.ts'
import type { Given } from './given.ts'

/** What the strongest source says about each option: one value, or the items of a list in their order. */
export interface Sources {
  readonly byOption: ReadonlyMap<string, readonly Given[]>
  /** The instance's JID as it was written, which replaced every `$jid`. */
  readonly jid: string
}

/**
 * Lays the sources over each other, the strongest last; a list is replaced as a whole. A scalar that one source gives
 * twice is a mistake, as in the original. `isList` decides it for known options; unknown ones may be repeated.
 */
export function gatherSources(
  layers: readonly (readonly Given[])[],
  isScalar: (option: string) => boolean,
  findings: Findings,
): Sources {
  const written = new Map<string, Given[]>()
  for (const layer of layers) {
    for (const [option, given] of Map.groupBy(layer, ({ option }) => option)) {
      const [first, second] = given
      if (first && second && isScalar(option)) {
        findings.mistake(second, `is given more than once; the first time at ${first.where}`)
      }
      written.set(option, given)
    }
  }
  const jid = written.get('service.jid')?.[0]?.value ?? ''
  const byOption = new Map<string, readonly Given[]>()
  for (const [option, given] of written) {
    const isKnown = option !== 'service.jid'
    byOption.set(option, isKnown ? given.map(one => ({ ...one, value: one.value.replaceAll('$jid', jid) })) : given)
  }
  return { byOption, jid }
}
