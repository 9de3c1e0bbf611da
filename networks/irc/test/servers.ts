import { ErgoUnavailableError, findErgo, type IrcServer, startErgo, startInspircd, startNgircd } from '@spectrum/stack'

/** A real server that conversations are held on. */
export interface RealServer {
  readonly name: string
  start(options?: { password?: string }): Promise<IrcServer>
}

/** Plain and old; rich in modes; rich in IRCv3 (where it can be had: it is built with Go). */
export const servers: readonly RealServer[] = [
  { name: 'ngircd', start: startNgircd },
  { name: 'inspircd', start: startInspircd },
  ...(await ergo()),
]

async function ergo(): Promise<readonly RealServer[]> {
  try {
    await findErgo()
    return [{ name: 'ergo', start: startErgo }]
  } catch (error) {
    if (!(error instanceof ErgoUnavailableError)) throw error
    console.log(`not tried on ergo: ${error.message}`)
    return []
  }
}
