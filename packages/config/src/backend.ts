import { accessSync, constants } from 'node:fs'
import { basename, delimiter, join } from 'node:path'

/** Ids of the networks that workers bring along, as in `services/worker/src/networks.ts`. */
export const builtInNetworks: readonly string[] = ['irc', 'parrot']

/** Backend executables of Spectrum 2 that a built-in network stands in for. */
const replacements: Readonly<Record<string, string>> = { spectrum2_libcommuni_backend: 'irc' }

/** Which network serves the instance. */
export type BackendChoice =
  | { readonly network: string; readonly warning?: string }
  | { readonly mistake: string; readonly network?: undefined }

/**
 * Understands `service.backend`: the name of a network; or the path of a Spectrum 2 backend with its arguments, for which
 * a built-in network stands in when the file does not exist. Without it, `service.protocol` may name the network.
 *
 * @param searchPath directories that a name without `/` is looked for in, as in PATH
 */
export function chooseBackend(
  backend: string,
  protocol: string,
  networks: readonly string[],
  searchPath: string,
): BackendChoice {
  const names = networks.join(', ')
  const [program = ''] = backend.split(/\s+/, 1)
  if (program === '') {
    if (networks.includes(protocol)) return { network: protocol }
    return { mistake: `must name a network (${names})` }
  }
  if (networks.includes(program)) return { network: program }
  if (executable(program, searchPath)) {
    return { mistake: `backends that run as programs of their own cannot be used yet; name a network (${names})` }
  }
  const replacement = replacements[basename(program)]
  if (replacement === undefined || !networks.includes(replacement)) {
    return { mistake: `is neither a built-in network (${names}) nor an executable file` }
  }
  return { network: replacement, warning: `${program} does not exist; the built-in network ${replacement} is used` }
}

function executable(program: string, searchPath: string): boolean {
  const candidates = program.includes('/')
    ? [program]
    : searchPath.split(delimiter).map(folder => join(folder, program))
  return candidates.some(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
