import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { instanceKey } from '@spectrum/bus'
import { node, root } from './prepare.mjs'

test('makes a key for each service and a configuration that knows them, and never over those in use', () => {
  const folder = mkdtempSync(join(tmpdir(), 'spectrum-nats-config-'))
  try {
    const run = () =>
      execFileSync(node, [join(root, 'scripts/nats-config.ts'), folder, 'irc.example.org'], { stdio: 'pipe' })
    run()
    const text = readFileSync(join(folder, 'nats.conf'), 'utf8')
    for (const service of ['frontend', 'router', 'worker']) {
      assert.match(text, new RegExp(`nkey: U[A-Z2-7]{55} # ${service}$`, 'm'))
      const seed = join(folder, `${service}.seed`)
      assert.match(readFileSync(seed, 'utf8'), /^SU[A-Z2-7]{56}$/)
      assert.equal(statSync(seed).mode & 0o777, 0o600)
    }
    assert.ok(text.includes(instanceKey('irc.example.org')))
    assert.throws(run, /EEXIST/)
    assert.equal(readFileSync(join(folder, 'nats.conf'), 'utf8'), text)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
