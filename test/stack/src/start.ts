// What npm start runs: the gateway of a configuration, or the playground when none is named.
import { spectrumVariables } from './environment.ts'
import { runPlayground } from './playground.ts'
import { runInstance } from './run-instance.ts'
import { removeLeftFolders } from './temporary.ts'
import { explainFailure } from './terminal.ts'

const usage = `npm start                                  a playground on loopback: XMPP, IRC and the gateway; nothing is kept
npm start -- --config FILE [--section.key=value …]
                                           the gateway of a Spectrum 2 configuration, in the foreground
Every option, with its environment variable: docs/reference/configuration.md
`

const argv = process.argv.slice(2)

try {
  if (argv.some(word => word === '--help' || word === '-h')) process.stdout.write(usage)
  else {
    await removeLeftFolders()
    if (argv.length === 0 && spectrumVariables().SPECTRUM_CONFIG === undefined) await runPlayground()
    else await runInstance(argv)
  }
} catch (error) {
  explainFailure(error)
}
