import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'

// The suite is worth something only if it notices a network that breaks its promises.
const cases: readonly (readonly [spoilt: string, noticedBy: string])[] = [
  ['loses', '100 messages from the other side keep their order, none lost, none doubled'],
  ['doubles', '100 messages from the other side keep their order, none lost, none doubled'],
  ['reorders', '100 messages from the other side keep their order, none lost, none doubled'],
  ['tells the subject too early', 'joining tells: joined, the occupants, ready, and the subject after that'],
  ['echoes without a key', 'lines in a room arrive in order, both ways, and the sender gets none of them back'],
  ['logs what is said', 'logs hold no password and no message'],
  ['takes any name', 'names that break protocols are refused when they are parsed'],
  ['throws what is no NetworkError', 'wrong credentials end run() with an error that asks the user to sign in'],
]

for (const [spoilt, noticedBy] of cases)
  test(`the suite notices a network that ${spoilt}`, { timeout: 120_000 }, async () => {
    const failed = await failuresOf(spoilt)
    assert.ok(failed.includes(noticedBy), `failed: ${failed.join('; ') || 'nothing'}`)
  })

test('the suite finds nothing in a network that keeps its promises', { timeout: 120_000 }, async () => {
  assert.deepEqual(await failuresOf('keeps them all'), [])
})

/** Names of the cases that fail on a parrot spoilt in that way. */
async function failuresOf(spoilt: string): Promise<string[]> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const script = join(import.meta.dirname, 'spoilt-parrot.ts')
  const child = spawn(process.execPath, ['--test-reporter=tap', script, spoilt], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = await text(child.stdout)
  assert.match(output, /^# tests [1-9]/m, output.slice(-2000))
  return [...output.matchAll(/^ {4}not ok \d+ - (.*)$/gm)].map(([, name = '']) => name)
}
