import type { z } from 'zod'
import type { Findings } from './findings.ts'
import { refusedValues } from './known-later.ts'
import { type Setting, settings } from './setting.ts'
import type { Sources } from './sources.ts'
import { readValue, sentenceOf } from './values.ts'

/**
 * Reads what the sources say about a schema of sections and lets the schema judge it. Undefined when anything is wrong;
 * every mistake is then in `findings`, at the line it was made. `place` stands for the line of what is missing.
 */
export function parseSections<Schema extends z.ZodObject>(
  schema: Schema,
  sources: Sources,
  place: string,
  findings: Findings,
): z.output<Schema> | undefined {
  const known = settings(schema)
  const unreadable = new Set<string>()
  const raw: Record<string, Record<string, unknown>> = {}
  for (const section of Object.keys(schema.shape)) raw[section] = {}
  for (const setting of known) {
    const [section, field] = setting.path
    const value = rawValue(setting, sources, findings)
    if (value === unreadableValue) unreadable.add(setting.option)
    else if (value !== undefined) Object.assign(raw[section] ?? {}, { [field]: value })
  }
  const parsed = schema.safeParse(raw)
  for (const issue of parsed.error?.issues ?? []) {
    const [section, field, index] = issue.path
    const setting = known.find(({ path }) => path[0] === section && path[1] === field)
    const option = setting?.option ?? issue.path.join('.')
    if (unreadable.has(option)) continue
    const given = sources.byOption.get(option)
    const where = (typeof index === 'number' ? given?.[index] : given?.[0])?.where ?? place
    findings.mistake({ option, where }, sentenceOf(issue))
  }
  return parsed.success && unreadable.size === 0 ? parsed.data : undefined
}

const unreadableValue = Symbol('unreadable')

function rawValue(setting: Setting, { byOption, jid }: Sources, findings: Findings): unknown {
  const given = byOption.get(setting.option)
  if (given === undefined) {
    const isForJid = typeof setting.default === 'string' && setting.default.includes('$jid')
    return isForJid ? String(setting.default).replaceAll('$jid', jid) : undefined
  }
  // An option without a default that stands there empty was not given.
  const isOptional = setting.default === undefined && !setting.isRequired
  if (isOptional && given.every(({ value }) => value === '')) return undefined
  let isReadable = true
  const values = given.map(one => {
    const refused = refusedValues.find(({ option, value }) => option === one.option && value === one.value)
    const reading = refused ? { mistake: refused.sentence } : readValue(setting, one.value)
    if ('value' in reading) return reading.value
    findings.mistake(one, reading.mistake)
    isReadable = false
    return undefined
  })
  if (!isReadable) return unreadableValue
  return setting.isList ? values : values[0]
}
