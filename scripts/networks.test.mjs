import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { builtInNetworks } from '@spectrum/config'
import { networks } from '../services/worker/src/networks.ts'

const root = resolve(import.meta.dirname, '..')

test('the worker, the configuration and the folders name the same networks', () => {
  const folders = readdirSync(join(root, 'networks')).sort()
  assert.deepEqual(Object.keys(networks).sort(), folders)
  assert.deepEqual([...builtInNetworks].sort(), folders)
})

test('each network is what its folder is called, and the types of the worker include it', async () => {
  const { references } = JSON.parse(readFileSync(join(root, 'services/worker/tsconfig.json'), 'utf8'))
  for (const [id, load] of Object.entries(networks)) {
    assert.equal((await load()).id, id)
    assert.ok(references.some(({ path }) => path === `../../networks/${id}`))
  }
})
