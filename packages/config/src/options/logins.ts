import { z } from 'zod'

const rate = () => z.number().positive().max(100_000)
const burst = () => z.int().min(2).max(1_000_000)

/** `[logins]`: how often all workers together log in to one host of a network. */
export const logins = z.object({
  rate: rate()
    .default(100)
    .describe(
      'Logins per second to one host from one address, over all workers. A host that says that it is asked too often is asked less often for a while.',
    ),
  burst: burst()
    .default(200)
    .describe(
      'Logins to one host that may come at once after a quiet time; at least half a second’s worth of the rate counts. In t seconds there are never more than burst + rate × t.',
    ),
  host: z
    .array(z.string().transform(hostAllowance))
    .default([])
    .describe(
      'A host with a rate and a burst of its own, such as `irc.libera.chat 2 5`. Repeat the line for more. A new leading router begins with nothing saved up.',
    ),
})

function hostAllowance(text: string, context: z.RefinementCtx): { host: string; rate: number; burst: number } {
  const [host = '', rateText, burstText, ...rest] = text.trim().split(/\s+/)
  const given = { rate: Number(rateText), burst: Number(burstText) }
  const isGood = rate().safeParse(given.rate).success && burst().safeParse(given.burst).success
  if (host === '' || rest.length > 0 || !isGood) {
    context.addIssue({
      code: 'custom',
      message: 'must be a host, a rate and a burst of 2 or more: irc.example.org 2 5',
    })
  }
  return { host: host.toLowerCase(), ...given }
}
