import { z } from 'zod'

/** `[registration]`: who may register with the gateway (XEP-0077) and what the form says. */
export const registration = z.object({
  enablePublicRegistration: z
    .boolean()
    .default(true)
    .describe('Whether everybody may register; off: only users of `service.allowed_servers`.'),
  autoRegister: z
    .boolean()
    .default(false)
    .describe('Whether a user who sends presence without an account is registered at once.'),
  language: z.string().default('en').describe('Language tag that is stored with a new account.'),
  instructions: z
    .string()
    .default('Enter your legacy network username and password.')
    .describe('Text above the registration form.'),
  usernameLabel: z.string().default('3rd-party network username').describe('Label of the user name field.'),
  passwordLabel: z.string().default('Password').describe('Label of the password field.'),
  usernameMask: z
    .string()
    .default('')
    .refine(mask => mask === '' || mask.includes('$username'), 'must contain $username')
    .describe('Makes the network name out of what was typed: `$username@chat.example.org`.'),
  allowedUsernames: z
    .string()
    .default('')
    .refine(isPattern, 'must be a regular expression')
    .describe('Regular expression (as JavaScript has them) that the whole network name must match; empty: every name.'),
})

function isPattern(source: string): boolean {
  try {
    new RegExp(`^(?:${source})$`)
    return true
  } catch {
    return false
  }
}
