import type { Findings } from './findings.ts'
import type { Given } from './given.ts'

export interface Flags {
  /** The configuration file, from `--config` or a word by itself. */
  readonly file: string | undefined
  readonly given: readonly Given[]
}

/** Spectrum 2 knows these; they change nothing here, since nothing goes into the background. */
const withoutEffect = new Set(['-n', '--no-daemonize', '-d', '--no-debug'])

/**
 * Reads the command line: `--section.key=value` (or the value as the next word), `--config FILE` or just `FILE`,
 * `-j JID` / `--jid JID`. A value never appears in a mistake: it may be a secret.
 */
export function readFlags(argv: readonly string[], findings: Findings): Flags {
  const given: Given[] = []
  const files: string[] = []
  const words = [...argv]
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (withoutEffect.has(word)) continue
    if (!word.startsWith('-')) {
      files.push(word)
      continue
    }
    const [name = '', ...rest] = word.split('=')
    const option = optionOf(name)
    if (option === undefined) {
      findings.mistakes.add(`${name}: is not a known flag`)
      continue
    }
    const value = rest.length > 0 ? rest.join('=') : words.shift()
    if (value === undefined) findings.mistakes.add(`${name}: needs a value`)
    else if (option === 'config') files.push(value)
    else given.push({ option, value, where: name })
  }
  if (files.length > 1)
    findings.mistakes.add(`--config: more than one configuration file was given: ${files.join(', ')}`)
  return { file: files[0], given }
}

function optionOf(flag: string): string | undefined {
  if (flag === '-j' || flag === '--jid') return 'service.jid'
  if (flag === '--config') return 'config'
  return /^--[^.\s]+\.[^\s]+$/.test(flag) ? flag.slice(2) : undefined
}
