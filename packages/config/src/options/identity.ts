import { z } from 'zod'

/** `[identity]`: how the gateway presents itself in service discovery (XEP-0030). */
export const identity = z.object({
  name: z.string().default('Spectrum 2 Transport').describe('Name shown in service discovery.'),
  category: z.string().default('gateway').describe('Category of the identity in service discovery.'),
  type: z.string().default('').describe('Type of the identity; left out, the network says it.'),
})
