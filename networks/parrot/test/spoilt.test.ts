import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, test } from 'node:test'
import { type Mutant, mutants } from './mutants.ts'

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

describe('the suite notices', { concurrency: 4 }, () => {
  for (const [spoilt, noticedBy] of cases)
    test(`a network that ${spoilt}`, { timeout: 240_000 }, async () => {
      assertNoticed(await failuresOf(import.meta.dirname, spoilt), noticedBy)
    })

  for (const mutant of mutants)
    test(`a parrot that ${mutant.does}`, { timeout: 240_000 }, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'parrot-'))
      try {
        await mutate(folder, mutant)
        assertNoticed(await failuresOf(join(folder, 'test'), mutant.does), mutant.noticedBy)
      } finally {
        await rm(folder, { recursive: true })
      }
    })
})

test('the suite finds nothing in a network that keeps its promises', { timeout: 120_000 }, async () => {
  assert.deepEqual(await failuresOf(import.meta.dirname, 'keeps them all'), [])
})

function assertNoticed(failed: readonly string[], noticedBy: string): void {
  assert.ok(failed.includes(noticedBy), `failed: ${failed.join('; ') || 'nothing'}`)
}

/** Lays a copy of the parrot into `folder`, changed as the mutant says. */
async function mutate(folder: string, { file, find, replace }: Mutant): Promise<void> {
  const home = join(import.meta.dirname, '..')
  for (const name of ['package.json', 'src', 'test'])
    await cp(join(home, name), join(folder, name), { recursive: true })
  await symlink(join(home, '../../node_modules'), join(folder, 'node_modules'))
  const path = join(folder, 'src', file)
  const source = await readFile(path, 'utf8')
  assert.ok(source.includes(find), `${file} no longer has ${JSON.stringify(find)}`)
  await writeFile(
    path,
    source.replace(find, () => replace),
  )
}

/** Names of the cases that fail on the parrot beside `folder`, spoilt in that way. */
async function failuresOf(folder: string, spoilt: string): Promise<string[]> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const child = spawn(process.execPath, ['--test-reporter=tap', join(folder, 'spoilt-parrot.ts'), spoilt], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = await text(child.stdout)
  assert.match(output, /^# tests [1-9]/m, output.slice(-2000))
  return [...output.matchAll(/^ {4}not ok \d+ - (.*)$/gm)].map(([, name = '']) => name)
}
