import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { failures } from '@spectrum/network'
import { dropReasons, reasonsOf, redeliveryReasons, weights } from '@spectrum/service-kit'
import { root } from './prepare.mjs'

/** The calls that count something dropped; each string in kebab case among their arguments is a reason. */
const calls = [
  /\bdropped\.inc\(\{([^}]*)\}/g,
  /\.(?:ignore|drop|onDiscarded)\??\.?\(([^\n]*)\)/g,
  /\bignore\(delivery, ([^\n]*)\)/g,
  /\bsuppressed\([^,\n]*, ([^\n)]*)\)/g,
  /\bonDropped\([^,\n]*, ([^\n)]*)\)/g,
  /(?:parts\.|#|parts\.#)count\(([^\n,)]*)\)/g,
  /count\('bus_(?:dropped|refused|dead)', \{([^}]*)\}/g,
]

function reasonsIn(text) {
  const found = new Set()
  for (const call of calls) {
    for (const [, inside = ''] of text.matchAll(call)) {
      const values = inside.replaceAll(/\bkind: [^,}]*[,}]/g, '').replaceAll(/[=!]== '[^']*'/g, '')
      for (const [, word] of values.matchAll(/'([a-z]+(?:-[a-z]+)*)'/g)) found.add(word)
    }
  }
  return found
}

test('every reason that is counted as dropped is documented', () => {
  const unknown = []
  let count = 0
  for (const folder of ['services', 'packages/bus', 'packages/xmpp', 'networks/irc']) {
    for (const file of readdirSync(join(root, folder), { recursive: true })) {
      if (!file.endsWith('.ts') || file.endsWith('.test.ts') || /(^|\/)(node_modules|test|gen)\//.test(file)) continue
      for (const reason of reasonsIn(readFileSync(join(root, folder, file), 'utf8'))) {
        count++
        if (!(reason in dropReasons) && !(reason in failures)) unknown.push(`${folder}/${file}: ${reason}`)
      }
    }
  }
  assert.ok(count > 40, `only ${count} reasons were found: the code counts by other calls now`)
  assert.deepEqual(unknown, [], 'reasons that packages/service-kit/src/drop-reasons.ts does not explain')
})

test('every reason that is counted as redelivered is documented, and nothing else is', () => {
  const found = new Set()
  for (const folder of ['services', 'packages'])
    for (const file of readdirSync(join(root, folder), { recursive: true })) {
      if (!file.endsWith('.ts') || file.endsWith('.test.ts') || /(^|\/)(node_modules|test|gen)\//.test(file)) continue
      const text = readFileSync(join(root, folder, file), 'utf8')
      for (const [, reason] of text.matchAll(/redelivered\.inc\(\{[^}]*?reason: [^'}]*'([a-z-]+)'/g)) found.add(reason)
    }
  assert.deepEqual([...found].sort(), Object.keys(redeliveryReasons).sort())
})

test('every reason has one weight', () => {
  const weighed = Object.keys(weights).flatMap(reasonsOf)
  assert.deepEqual(weighed.toSorted(), Object.keys(dropReasons).toSorted())
})

test('a name that ends in _total and is in the operations page is a metric', () => {
  const metrics = readFileSync(join(root, 'docs/reference/metrics.md'), 'utf8')
  const page = readFileSync(join(root, 'docs/operations.md'), 'utf8')
  for (const [, name] of page.matchAll(/`(_?spectrum_\w+|_\w+_total)[`{]/g))
    assert.ok(metrics.includes(`\`${name}\``), name)
})
