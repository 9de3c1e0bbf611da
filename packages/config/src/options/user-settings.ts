import { z } from 'zod'

/** `[settings]`: what holds for users who have not set it themselves. */
export const userSettings = z.object({
  stayConnected: z
    .boolean()
    .default(false)
    .describe(
      'Whether users stay connected to the network, and in their rooms, when their last client goes; the last 100 lines of each room are told to the next client that joins it.',
    ),
})
