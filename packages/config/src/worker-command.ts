import type { Environment } from './environment.ts'
import { instanceSchema } from './schema.ts'
import { settings } from './setting.ts'

/** How to start a worker with the configuration of this process. */
export interface WorkerCommand {
  /** Words behind the program. Without any secret. */
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/**
 * The command line and environment of a worker that runs with the configuration of this process, but for what is not its
 * business: it gets no secret of the router (database, master key, the router's own NATS user) in either.
 *
 * @param argv - of this process, behind its program
 * @param options - what differs, by option: `{ 'http.port': '0' }`. Secrets go into the environment, the others are flags.
 */
export function workerCommand(
  argv: readonly string[],
  options: Readonly<Record<string, string>>,
  env: Environment = process.env,
): WorkerCommand {
  const known = new Map(settings(instanceSchema).map(setting => [setting.option, setting]))
  const secrets = [...known.values()].filter(({ isSecret }) => isSecret)
  const hidden = new Set(secrets.flatMap(setting => [setting.env, `${setting.env}_FILE`]))
  const kept = Object.entries(env).filter((entry): entry is [string, string] => {
    const [name, value] = entry
    return value !== undefined && !hidden.has(name)
  })
  const given: Record<string, string> = Object.fromEntries(kept)
  const flags: string[] = []
  for (const [option, value] of Object.entries(options)) {
    const setting = known.get(option)
    if (setting === undefined) throw new RangeError(`there is no option ${option}`)
    if (setting.isSecret) given[setting.env] = value
    else flags.push(`--${option}=${value}`)
  }
  return {
    argv: [
      ...withoutOptions(argv, new Set([...secrets.map(({ option }) => option), ...Object.keys(options)])),
      ...flags,
    ],
    env: given,
  }
}

/** A scalar option must not be given twice, and a secret not at all. */
function withoutOptions(argv: readonly string[], options: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] as string
    const [flag = '', ...rest] = word.split('=')
    const option = flag === '-j' || flag === '--jid' ? 'service.jid' : flag.slice(2)
    if (!flag.startsWith('-') || !options.has(option)) kept.push(word)
    else if (rest.length === 0) index++
  }
  return kept
}
