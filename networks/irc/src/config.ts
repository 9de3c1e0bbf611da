import { z } from 'zod'
import { parseTargets } from './targets.ts'

const isServers = (text: string): boolean => {
  try {
    return parseTargets(text).length > 0
  } catch {
    // The refinement's own sentence says what is wrong.
    return false
  }
}

/** Settings of the IRC network. Those with a `service.` option are Spectrum 2's. */
export const ircConfig = z.object({
  server: z
    .array(z.string().refine(isServers, 'must be host, host:port or host:+port (the plus means TLS)'))
    .default([])
    .meta({ option: 'service.irc_server' })
    .describe(
      'The IRC server everybody is connected to: host, host:port, or host:+port for TLS (6697 means TLS too; default port 6667). ' +
        'Several are tried in turn. Without it, rooms are named #channel%server and users choose their servers.',
    ),
  identify: z
    .string()
    .regex(/^\S+ \S/, 'must be a nick and what to say to it')
    .default('NickServ identify $password')
    .meta({ option: 'service.irc_identify' })
    .describe(
      'Said after connecting when the user registered with a password: the receiver, then the text. $name and $password are replaced.',
    ),
  sendPass: z
    .boolean()
    .default(false)
    .meta({ option: 'service.irc_send_pass' })
    .describe('Send the user’s password as the server password (PASS) instead of to a nick service.'),
  maxServersPerUser: z
    .int()
    .min(1)
    .max(1000)
    .default(10)
    .describe(
      'IRC servers that one user may be connected to at once where users choose their servers. Rooms on further ones are refused.',
    ),
  floodBurst: z
    .int()
    .min(1)
    .max(1000)
    .default(5)
    .describe('Lines that may be sent to an IRC server at once before pacing begins.'),
  floodRate: z
    .number()
    .min(0)
    .max(10_000)
    .default(1)
    .describe('Lines a second sent after that. 0 turns pacing off: only for servers of your own.'),
  verifyTls: z
    .boolean()
    .default(true)
    .describe('Refuse IRC servers whose TLS certificate is not valid for their name.'),
  encoding: z
    .enum(['utf-8', 'latin1'])
    .default('utf-8')
    .describe(
      'How text is written to IRC servers. What comes in is read as UTF-8, and as Western European where it is not that.',
    ),
})

export type IrcConfig = z.output<typeof ircConfig>
