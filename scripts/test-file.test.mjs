import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { runTestFile } from './test-file.mjs'

const folder = mkdtempSync(join(tmpdir(), 'test-file-'))
after(() => rmSync(folder, { recursive: true }))

function run(name, text, limits) {
  const file = join(folder, `${name}.test.mjs`)
  writeFileSync(file, `import assert from 'node:assert/strict'\nimport { test } from 'node:test'\n${text}`)
  return runTestFile({ file, results: join(folder, name), timeoutSeconds: 60, env: {}, running: new Set(), ...limits })
}

const fails = `test('one that fails', () => assert.equal(1, 2, 'the reason'))\n`
const hangs = `setInterval(() => {}, 1000)\n`

test('a file that hangs after a failure is cut soon, and the failure is told', async () => {
  const { exit, output, outcomes } = await run('hangs', fails + hangs, { silentSeconds: 2 })
  assert.equal(exit, '2 s of silence after a failure')
  assert.match(output, /the reason/)
  assert.deepEqual(
    outcomes.map(({ name, outcome }) => [name, outcome]),
    [['one that fails', 'fail']],
  )
})

test('a test that hangs after another failed loses neither', async () => {
  const waits = `test('one that waits', () => new Promise(() => setInterval(() => {}, 1000)))\n`
  const { exit, output } = await run('waits', fails + waits, { timeoutSeconds: 3 })
  assert.equal(exit, 'a timeout of 3 s')
  assert.match(output, /the reason/)
})

test('a file that ends is told as it is', async () => {
  const { exit, output, outcomes } = await run('ends', fails)
  assert.equal(exit, 1)
  assert.equal(output.split('the reason').length, 2, output)
  assert.match(outcomes[0]?.error ?? '', /the reason/)
})
