import { z } from 'zod'

/** One option, as every reader of the declaration sees it: the loader, the docs, the printer, the chart. */
export interface Setting {
  /** Section and field of the configuration object: `['service', 'usersPerBackend']`. */
  readonly path: readonly [section: string, field: string]
  /** As in the `.cfg` and on the command line: `service.users_per_backend`. */
  readonly option: string
  /** `SPECTRUM_SERVICE_USERS_PER_BACKEND` */
  readonly env: string
  readonly kind: SettingKind
  /** The words that an option of a few fixed values takes. */
  readonly choices: readonly string[]
  /** True: the option may be repeated, and `kind` is that of each item. */
  readonly isList: boolean
  readonly isSecret: boolean
  readonly isRequired: boolean
  readonly default: unknown
  readonly description: string
}

export type SettingKind = 'string' | 'boolean' | 'integer' | 'number'

/** What `z.toJSONSchema` says of a field, as far as it is read here. */
interface FieldSchema {
  type?: string
  enum?: string[]
  items?: FieldSchema
  default?: unknown
  description?: string
  secret?: boolean
  option?: string
  env?: string
}

/**
 * Lists the fields of a schema of sections (`z.object({ service: z.object({…}) })`). A field's option is
 * `<section>.<field in snake case>` unless `.meta({ option })` says otherwise; its variable is `SPECTRUM_` and the option
 * in capitals unless `.meta({ env })` does. Throws when a field has no description or two fields claim one name.
 */
export function settings(schema: z.ZodObject): Setting[] {
  const found: Setting[] = []
  for (const [section, fields] of Object.entries(schema.shape)) {
    if (fields instanceof z.ZodObject) found.push(...settingsOfSection(section, fields))
    else throw new TypeError(`${section} is not a section`)
  }
  for (const name of ['option', 'env'] as const) {
    const clash = found.find((setting, index) => found.findIndex(other => other[name] === setting[name]) !== index)
    if (clash) throw new TypeError(`${clash[name]} is declared twice`)
  }
  return found
}

/** The fields of one section, in the order of their declaration. */
export function settingsOfSection(section: string, schema: z.ZodObject): Setting[] {
  const described = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  const required = new Set(described.required ?? [])
  return Object.entries(described.properties ?? {}).map(([field, node]) =>
    settingOf(section, field, node as FieldSchema, required.has(field)),
  )
}

function settingOf(section: string, field: string, node: FieldSchema, isRequired: boolean): Setting {
  const option = node.option ?? `${section}.${snakeCase(field)}`
  if (!node.description) throw new TypeError(`${option} has no description`)
  const isList = node.type === 'array'
  const value = isList ? (node.items ?? {}) : node
  return {
    path: [section, field],
    option,
    env: node.env ?? envName(option),
    kind: kindOf(value),
    choices: value.enum ?? [],
    isList,
    isSecret: node.secret === true,
    isRequired,
    default: node.default,
    description: node.description,
  }
}

/** `service.users_per_backend` → `SPECTRUM_SERVICE_USERS_PER_BACKEND` */
export function envName(option: string): string {
  return `SPECTRUM_${option.replaceAll(/[^A-Za-z0-9]/g, '_').toUpperCase()}`
}

function kindOf(node: FieldSchema): SettingKind {
  if (node.type === 'boolean' || node.type === 'integer' || node.type === 'number') return node.type
  return 'string'
}

function snakeCase(word: string): string {
  return word.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2').toLowerCase()
}
