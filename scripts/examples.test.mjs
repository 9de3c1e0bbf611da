import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { loadConfig } from '@spectrum/config'
import { root } from './prepare.mjs'

const files = readdirSync(join(root, 'examples'), { recursive: true }).filter(file => file.endsWith('.cfg'))

for (const file of files)
  test(`examples/${file} is taken without a warning`, () => {
    const env = { SPECTRUM_SERVICE_PASSWORD: 'x', SPECTRUM_DATABASE_PASSWORD: 'x' }
    assert.deepEqual(loadConfig({ argv: ['--config', join(root, 'examples', file)], env }).warnings, [])
  })

test('the README shows examples/irc.cfg', () => {
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  assert.ok(readme.includes(`\`\`\`ini\n${readFileSync(join(root, 'examples/irc.cfg'), 'utf8')}\`\`\``))
})

test('every path that a page names exists', () => {
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    'docs/architecture.md',
    'docs/networks.md',
    'docs/operations.md',
    'networks/parrot/README.md',
  ]
  const missing = pages.flatMap(page =>
    [
      ...readFileSync(join(root, page), 'utf8').matchAll(
        /`((?:services|packages|networks|scripts|docs|test|proto|charts)\/[\w./-]+)`/g,
      ),
    ]
      .map(([, path = '']) => path)
      .filter(path => !existing(path))
      .map(path => `${page}: ${path}`),
  )
  assert.deepEqual(missing, [])
})

function existing(path) {
  try {
    readFileSync(join(root, path))
  } catch (error) {
    return error.code === 'EISDIR'
  }
  return true
}

test('every page of docs is linked from the README or another page, and every link leads somewhere', () => {
  const pages = ['README.md', ...readdirSync(join(root, 'docs'), { recursive: true }).map(page => `docs/${page}`)]
  const linked = new Set()
  for (const page of pages.filter(page => page.endsWith('.md')))
    for (const [, target = ''] of readFileSync(join(root, page), 'utf8').matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)) {
      const path = join(dirname(page), target)
      assert.ok(existsSync(join(root, path)), `${page}: ${target}`)
      linked.add(path)
    }
  const lonely = pages.filter(page => page.endsWith('.md') && !page.startsWith('docs/decisions/') && !linked.has(page))
  assert.deepEqual(lonely, ['README.md'])
})
