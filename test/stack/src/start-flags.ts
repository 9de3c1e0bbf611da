import { resolve } from 'node:path'
import { instanceSchema, settings } from '@spectrum/config'

/** The command line of `npm start`, taken apart for the services. */
export interface StartFlags {
  /** The configuration file, if one is named. */
  readonly config: string | undefined
  /** `--section.key=value` words for every service; nothing secret among them. */
  readonly flags: readonly string[]
  /** Secrets that were given as flags, as environment variables: command lines of processes can be read by everybody. */
  readonly env: Readonly<Record<string, string>>
}

/** Set by the start itself for each process. */
const ownOptions = new Set(['http.port', 'grpc.port', 'nats.servers', 'nats.nkey_seed', 'launcher.worker_nkey_seed'])

/** Takes the words apart that `loadConfig` has already found to be right.  */
export function splitFlags(argv: readonly string[]): StartFlags {
  const secrets = new Map(
    settings(instanceSchema)
      .filter(({ isSecret }) => isSecret)
      .map(({ option, env }) => [option, env]),
  )
  const flags: string[] = []
  const env: Record<string, string> = {}
  let config: string | undefined
  const words = [...argv]
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (!word.startsWith('-')) {
      config = resolve(word)
      continue
    }
    const [name = '', ...rest] = word.split('=')
    const isSwitch = !name.includes('.') && !['--config', '--jid', '-j'].includes(name)
    if (isSwitch) continue
    const value = rest.length > 0 ? rest.join('=') : (words.shift() ?? '')
    const option = name === '-j' || name === '--jid' ? 'service.jid' : name.slice(2)
    const variable = secrets.get(option)
    if (name === '--config') config = resolve(value)
    if (ownOptions.has(option) || name === '--config') continue
    if (variable === undefined) flags.push(`--${option}=${value}`)
    else env[variable] = value
  }
  return { config, flags, env }
}
