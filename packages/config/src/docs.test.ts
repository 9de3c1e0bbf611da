import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { configurationDocs } from './docs.ts'
import { knownLater } from './known-later.ts'
import { instanceSchema } from './schema.ts'
import { settings } from './setting.ts'

test('the reference page names every option, of networks too', () => {
  const network = { id: 'irc', config: z.object({ floodRate: z.number().default(2).describe('Lines a second.') }) }
  const page = configurationDocs([network])
  for (const { option, env } of settings(instanceSchema))
    assert.ok(page.includes(`| \`${option}\` | \`${env}\` |`), option)
  for (const { option } of knownLater) assert.ok(page.includes(`| \`${option}\` |`), option)
  assert.ok(page.includes('| `irc.flood_rate` | `SPECTRUM_IRC_FLOOD_RATE` | number | `2` | Lines a second. |'))
  assert.match(page, /\| `service\.password` \| `SPECTRUM_SERVICE_PASSWORD` \| secret string \|/)
})

test('an option that a network acts on stands under its own section, and once', () => {
  const server = z.string().default('').describe('The server.').meta({ option: 'service.irc_server' })
  const page = configurationDocs([{ id: 'irc', config: z.object({ server }) }])
  assert.equal(page.split('`service.irc_server`').length, 2)
  assert.match(page, /## \[service\] of the network irc\n\n[^#]*`service\.irc_server`/)
})
