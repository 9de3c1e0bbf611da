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
})

export type Config = typeof config._output
