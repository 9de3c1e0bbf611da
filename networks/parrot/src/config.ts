import { z } from 'zod'

/** Section `[parrot]`. */
export const config = z.object({
  latencyMs: z
    .int()
    .min(0)
    .max(600_000)
    .default(0)
    .describe('Milliseconds that signing in, joining a room and sending a message take. 0: they are done at once.'),
  echo: z
    .boolean()
    .default(true)
    .describe('Whether parrots repeat what they hear. Benchmarks switch it off; faults on demand work all the same.'),
  allowCrash: z
    .boolean()
    .default(false)
    .describe(
      'Whether the line `!crash` ends the process of the worker, as a bug would. For fault tests only: any user can say it.',
    ),
})

export type Config = typeof config._output
