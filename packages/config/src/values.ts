import type { z } from 'zod'
import type { Setting, SettingKind } from './setting.ts'

/** A value that was read, or why it cannot be. */
export type Reading = { readonly value: unknown } | { readonly mistake: string }

/** Turns the text of one value into what the schema expects. The mistake does not quote the text: it may be a secret. */
export function readValue(setting: Setting, text: string): Reading {
  return readers[setting.kind](text)
}

const readers: Record<SettingKind, (text: string) => Reading> = {
  string: text => ({ value: text }),
  boolean: readBoolean,
  integer: text => (/^[+-]?\d{1,15}$/.test(text) ? { value: Number(text) } : { mistake: 'must be a whole number' }),
  number: text => (/^[+-]?(\d+\.?\d*|\.\d+)$/.test(text) ? { value: Number(text) } : { mistake: 'must be a number' }),
}

/** As the original's parser has it, where `key =` with nothing behind it also means yes. */
export function readBoolean(text: string): Reading {
  const word = text.toLowerCase()
  if (['', '1', 'yes', 'on', 'true'].includes(word)) return { value: true }
  if (['0', 'no', 'off', 'false'].includes(word)) return { value: false }
  return { mistake: 'must be yes or no (1, 0, on, off, true, false)' }
}

/** Says what a schema found wrong, in words of a configuration file. */
export function sentenceOf(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'too_small':
      if (issue.origin === 'string')
        return issue.minimum === 1 ? 'must not be empty' : `is shorter than ${issue.minimum}`
      return issue.origin === 'array' ? `needs at least ${issue.minimum}` : `must be at least ${issue.minimum}`
    case 'too_big':
      return issue.origin === 'string' ? `is longer than ${issue.maximum}` : `must be at most ${issue.maximum}`
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`
    case 'invalid_type':
      return issue.message.endsWith('received undefined') ? 'is required' : issue.message
    default:
      return issue.message
  }
}
