import { z } from 'zod'

/** `[canary]`: a pretend user that measures the whole way of a line, through the network parrot. */
export const canary = z.object({
  interval: z
    .int()
    .min(0)
    .max(3_600)
    .default(0)
    .describe(
      'Seconds between two lines that a pretend user says to a parrot and that must come back: `spectrum_canary_lost_total`, `spectrum_canary_doubled_total`, `spectrum_canary_latency_seconds`. 0: off. Needs `service.backend = parrot` and `frontend.connections = one`.',
    ),
})
