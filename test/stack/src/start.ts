// What npm start runs: the gateway of a configuration, or the playground when none is named.
import { ServerError } from './child.ts'
import { spectrumVariables } from './environment.ts'
import { runPlayground } from './playground.ts'
import { MissingProgramError } from './programs.ts'
import { runInstance } from './run-instance.ts'
import { StartError, say } from './terminal.ts'

const argv = process.argv.slice(2)

try {
  if (argv.length === 0 && spectrumVariables().SPECTRUM_CONFIG === undefined) await runPlayground()
  else await runInstance(argv)
} catch (error) {
  if ([StartError, ServerError, MissingProgramError].some(kind => error instanceof kind)) say((error as Error).message)
  else say(`The gateway could not be started: ${(error as Error).stack ?? error}`)
  process.exitCode = 1
}
