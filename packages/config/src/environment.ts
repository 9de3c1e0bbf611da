import { readFileSync } from 'node:fs'
import type { Findings } from './findings.ts'
import type { Given } from './given.ts'
import { envName, type Setting } from './setting.ts'

/** The variables of a process; `process.env` has this shape. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Looks up the variable of every setting, and of the other known options. A list is written with commas; a secret may
 * stand in a file that `…_FILE` names (its last line break does not count). Empty variables count as absent.
 */
export function readEnvironment(
  env: Environment,
  known: readonly Setting[],
  otherOptions: readonly string[],
  findings: Findings,
): Given[] {
  const given: Given[] = []
  for (const setting of known) {
    const { option } = setting
    const direct = env[setting.env]
    if (direct) {
      const values = setting.isList ? direct.split(',').map(value => value.trim()) : [direct]
      given.push(...values.map(value => ({ option, value, where: setting.env })))
    }
    const where = `${setting.env}_FILE`
    const file = setting.isSecret ? env[where] : undefined
    if (!file) continue
    if (direct) findings.mistake({ option, where }, `cannot be given together with ${setting.env}`)
    else {
      const secret = readSecret(file)
      if ('reason' in secret) findings.mistake({ option, where }, `the file cannot be read (${secret.reason})`)
      else given.push({ option, value: secret.value, where })
    }
  }
  for (const option of otherOptions) {
    const value = env[envName(option)]
    if (value) given.push({ option, value, where: envName(option) })
  }
  return given
}

function readSecret(file: string): { value: string } | { reason: string } {
  try {
    return { value: readFileSync(file, 'utf8').replace(/\r?\n$/, '') }
  } catch (error) {
    return { reason: error instanceof Error && 'code' in error ? String(error.code) : 'unknown error' }
  }
}
