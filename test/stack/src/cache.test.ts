import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { withLock } from './cache.ts'
import { TemporaryFolder } from './temporary.ts'

test('work under one lock never overlaps, in one process either', async () => {
  await using folder = await TemporaryFolder.create('lock')
  let inside = 0
  let most = 0
  const work = async () => {
    most = Math.max(most, ++inside)
    await readdir(folder.path)
    inside--
  }
  await Promise.all(Array.from({ length: 10 }, () => withLock(join(folder.path, 'lock'), work)))
  assert.equal(most, 1)
  assert.deepEqual(await readdir(folder.path), [])
})

test('the lock of a dead process is taken over', async () => {
  await using folder = await TemporaryFolder.create('lock')
  const { pid } = spawnSync('true')
  await writeFile(join(folder.path, 'lock'), String(pid))
  assert.equal(await withLock(join(folder.path, 'lock'), async () => 'done'), 'done')
})

test('the lock is let go when the work fails', async () => {
  await using folder = await TemporaryFolder.create('lock')
  const failing = async () => {
    throw new Error('no')
  }
  await assert.rejects(withLock(join(folder.path, 'lock'), failing), /no/)
  assert.deepEqual(await readdir(folder.path), [])
})
