import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { builtInNetworks, chooseBackend } from './backend.ts'
import { readCfg } from './cfg.ts'
import { ConfigError } from './config-error.ts'
import { type Environment, readEnvironment } from './environment.ts'
import { Findings } from './findings.ts'
import { readFlags } from './flags.ts'
import type { Given } from './given.ts'
import { findKnownLater, knownLater } from './known-later.ts'
import { type Config, instanceSchema, type NetworkChoice } from './schema.ts'
import { parseSections } from './sections.ts'
import { settings } from './setting.ts'
import { gatherSources, type Sources } from './sources.ts'
import { judgeUnclaimed } from './unclaimed.ts'

/** What configuration needs to know of a network: every `Network` of `@spectrum/network` has this shape. */
export interface NetworkSchema {
  readonly id: string
  readonly config: z.ZodObject
}

export interface LoadOptions {
  /** Words of the command line behind the program: `process.argv.slice(2)`. */
  readonly argv: readonly string[]
  /** Default: the environment of this process. */
  readonly env?: Environment
  /**
   * Networks that this process can run. Left out (frontends and routers), `config.network.options` stays empty and the
   * options of networks are not judged. A worker may load once without, to learn `config.network.id`, and again with the
   * one network that it then imported.
   */
  readonly networks?: readonly NetworkSchema[]
  /** Options that this service cannot do without although others can: `['service.password']`. */
  readonly required?: readonly string[]
}

export interface LoadedConfig {
  readonly config: Config
  /** Each `where: section.key: sentence`, without any secret; to be logged once at the start. */
  readonly warnings: readonly string[]
  /** Options that some source gives a value, known or not. */
  readonly given: ReadonlySet<string>
}

/**
 * Reads the configuration of an instance. Later wins: defaults, the `.cfg` file, the environment, flags; a list is
 * replaced as a whole. The file is named by `--config FILE`, a bare word, or `SPECTRUM_CONFIG`; there may be none.
 * Nothing is opened but that file and files of secrets.
 *
 * @throws ConfigError with all mistakes at once
 */
export function loadConfig({ argv, env = process.env, networks, required = [] }: LoadOptions): LoadedConfig {
  const findings = new Findings()
  const schema = z.object({
    ...instanceSchema.shape,
    ...Object.fromEntries((networks ?? []).map(({ id, config }) => [id, config])),
  })
  const known = settings(schema)
  const claimed = new Map(known.map(setting => [setting.option, setting]))
  const unclaimed = knownLater
    .map(({ option }) => option)
    .filter(option => !claimed.has(option) && !option.endsWith('*'))

  const flags = readFlags(argv, findings)
  for (const given of flags.given) {
    const variable = claimed.get(given.option)?.isSecret && claimed.get(given.option)?.env
    if (variable) findings.warn(given, `everybody on this machine can read it there; use ${variable}_FILE or the .cfg`)
  }
  const file = flags.file ?? (env.SPECTRUM_CONFIG || undefined)
  const place = file ?? 'configuration'
  const entries = readFile(file, findings)
  // Whatever else is missing stands in that file.
  if (entries === undefined) throw new ConfigError([...findings.mistakes])
  const layers = [entries, readEnvironment(env, known, unclaimed, findings), flags.given]
  const isList = (option: string) => (claimed.get(option) ?? findKnownLater(option) ?? { isList: true }).isList
  const sources = gatherSources(layers, option => !isList(option), findings)

  judgeUnclaimed(sources, new Set(claimed.keys()), option => belongsToNetwork(option, networks), findings)
  const instance = parseSections(instanceSchema, sources, place, findings)
  for (const option of required) {
    const [given] = sources.byOption.get(option) ?? []
    if (!given?.value) findings.mistake({ option, where: given?.where ?? place }, 'is required')
  }
  const network = readNetwork(sources, networks, env.PATH ?? '', place, findings)
  if (instance) judgeLauncher(instance, sources, place, findings)
  if (instance && network) judgeCanary(instance, network.id, sources, place, findings)
  if (findings.mistakes.size > 0 || !instance || !network)
    throw new ConfigError(inFileOrder([...findings.mistakes, ...findings.unknown], place))
  return {
    config: deepFreeze({ ...instance, network }),
    warnings: [...findings.warnings],
    given: new Set(sources.byOption.keys()),
  }
}

/** Fewest and most workers must leave some number between them. */
function judgeLauncher(
  { launcher }: z.output<typeof instanceSchema>,
  sources: Sources,
  place: string,
  findings: Findings,
): void {
  const { minWorkers, maxWorkers } = launcher
  if (minWorkers <= maxWorkers) return
  const [option, other] = ['launcher.min_workers', 'launcher.max_workers'] as const
  const where = (sources.byOption.get(option) ?? sources.byOption.get(other))?.[0]?.where ?? place
  findings.mistake({ option, where }, `must not be more than ${other}: ${minWorkers} of at most ${maxWorkers} workers`)
}

/** The canary talks to a parrot, through the one frontend that holds the component. */
function judgeCanary(
  { canary, frontend }: z.output<typeof instanceSchema>,
  network: string,
  sources: Sources,
  place: string,
  findings: Findings,
): void {
  if (canary.interval === 0) return
  const option = 'canary.interval'
  const where = sources.byOption.get(option)?.[0]?.where ?? place
  if (network !== 'parrot') findings.mistake({ option, where }, 'needs a parrot to talk to: service.backend = parrot')
  if (frontend.connections !== 'one') findings.mistake({ option, where }, 'needs frontend.connections = one')
}

/** By the file's lines; what is said of no line comes before. */
function inFileOrder(mistakes: readonly string[], file: string): string[] {
  const lineOf = (mistake: string) =>
    mistake.startsWith(`${file}:`) ? Number.parseInt(mistake.slice(file.length + 1), 10) || 0 : 0
  return mistakes.toSorted((a, b) => lineOf(a) - lineOf(b))
}

/** Undefined when the file cannot be read. */
function readFile(file: string | undefined, findings: Findings): Given[] | undefined {
  if (file === undefined) return []
  try {
    const { entries, mistakes } = readCfg(readFileSync(file, 'utf8'), file)
    for (const mistake of mistakes) findings.mistakes.add(mistake)
    return entries.map(({ option, value, line }) => ({ option, value, where: `${file}:${line}` }))
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
    findings.mistakes.add(`${file}: the configuration file cannot be read (${reason})`)
    return undefined
  }
}

/** Options that only the named network can judge, which this process does not have. */
function belongsToNetwork(option: string, networks: readonly NetworkSchema[] | undefined): boolean {
  const missing = builtInNetworks.filter(id => !networks?.some(network => network.id === id))
  return missing.some(id => option.startsWith(`${id}.`) || option.startsWith(`service.${id}_`))
}

function readNetwork(
  sources: Sources,
  networks: readonly NetworkSchema[] | undefined,
  searchPath: string,
  place: string,
  findings: Findings,
): NetworkChoice | undefined {
  const option = 'service.backend'
  const [backend] = sources.byOption.get(option) ?? []
  const [protocol] = sources.byOption.get('service.protocol') ?? []
  const where = backend?.where ?? place
  const ids = [...new Set([...builtInNetworks, ...(networks ?? []).map(({ id }) => id)])]
  const choice = chooseBackend(backend?.value ?? '', protocol?.value ?? '', ids, searchPath)
  if (choice.network === undefined) {
    findings.mistake({ option, where }, choice.mistake)
    return undefined
  }
  if (choice.warning) findings.warn({ option, where }, choice.warning)
  const id = choice.network
  if (!networks) return { id, options: {} }
  const network = networks.find(other => other.id === id)
  if (!network) {
    findings.mistake({ option, where }, `chooses ${id}, which this process cannot run`)
    return undefined
  }
  const parsed = parseSections(z.object({ [id]: network.config }), sources, place, findings)
  return parsed && { id, options: parsed[id] ?? {} }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value) && !ArrayBuffer.isView(value)) {
    Object.freeze(value)
    for (const part of Object.values(value)) deepFreeze(part)
  }
  return value
}
