import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { test } from 'node:test'
import { violations } from './import-rules.mjs'

// A checkout in small that keeps every rule; each case below breaks one.
const clean = {
  'packages/network/package.json': '{"name":"@spectrum/network"}',
  'packages/network/src/index.ts': "export { z } from 'zod'\n",
  'packages/messages/package.json': '{"name":"@spectrum/messages"}',
  'packages/messages/src/index.ts': "import type { z } from '@spectrum/network'\nexport type Z = z\n",
  'packages/bus/package.json': '{"name":"@spectrum/bus"}',
  'packages/bus/src/index.ts': "import '@nats-io/transport-node'\nimport '@spectrum/messages'\n",
  'packages/config/package.json': '{"name":"@spectrum/config"}',
  'packages/config/src/index.ts': 'export const home = process.env.HOME\n',
  'packages/store/package.json': '{"name":"@spectrum/store"}',
  'packages/store/src/index.ts': "import '@prisma/client'\nimport '@spectrum/network'\n",
  'networks/irc/package.json': '{"name":"@spectrum/irc"}',
  'networks/irc/src/index.ts':
    "import { isIP } from 'node:net'\nimport '@spectrum/network'\nimport './session.ts'\nisIP('')\n",
  'networks/irc/src/session.ts': "import type {} from './index.ts'\nexport const session = 1\n",
  'networks/irc/test/irc.test.ts': "import { connect } from 'node:net'\nimport '@spectrum/bus'\nconnect(1)\n",
  'networks/parrot/package.json': '{"name":"@spectrum/parrot"}',
  'networks/parrot/src/index.ts': 'export const parrot = 1\n',
  'services/router/package.json': '{"name":"@spectrum/router"}',
  'services/router/src/main.ts': "import '@spectrum/store'\nimport '@spectrum/bus'\n",
  'services/worker/package.json': '{"name":"@spectrum/worker"}',
  'services/worker/src/networks.ts': "export const irc = () => import('@spectrum/irc')\n",
  'services/frontend/package.json': '{"name":"@spectrum/frontend"}',
  'services/frontend/src/main.ts': "import '@spectrum/messages'\n",
}

const breaches = [
  ['services-never-meet', 'services/router/src/x.ts', "import '@spectrum/worker'\n"],
  ['services-never-meet', 'packages/bus/src/x.ts', "import type {} from '@spectrum/frontend'\n"],
  ['lower-packages-only', 'packages/network/src/x.ts', "import '@spectrum/bus'\n"],
  ['lower-packages-only', 'networks/irc/src/x.ts', "import type {} from '@spectrum/bus'\n"],
  ['lower-packages-only', 'networks/irc/src/x.ts', "import '@spectrum/parrot'\n"],
  ['lower-packages-only', 'services/frontend/src/x.ts', "export { store } from '@spectrum/store'\n"],
  ['lower-packages-only', 'services/router/src/x.ts', "await import('@spectrum/irc')\n"],
  ['one-door', 'services/router/src/x.ts', "import '@prisma/client'\n"],
  ['one-door', 'services/worker/src/x.ts', "import { connect } from '@nats-io/transport-node'\nconnect()\n"],
  ['one-door', 'services/frontend/src/x.ts', "import ltx from 'ltx'\nltx()\n"],
  ['one-door', 'services/frontend/src/x.ts', "import '@xmpp/component'\n"],
  ['environment-only-in-config', 'services/worker/src/x.ts', 'export const x = process.env.HOME\n'],
  ['environment-only-in-config', 'packages/bus/src/x.ts', "import { env } from 'node:process'\nenv.HOME\n"],
  ['environment-only-in-config', 'packages/bus/src/x.ts', "export const x = process['env']\n"],
  ['no-process-exit', 'services/worker/src/x.ts', 'process.exit(1)\n'],
  ['no-export-star', 'packages/bus/src/x.ts', "export * from './index.ts'\n"],
  ['no-default-export', 'packages/bus/src/x.ts', 'export default 1\n'],
  ['front-door', 'services/worker/src/x.ts', "import '../../../packages/bus/src/index.ts'\n"],
  ['front-door', 'services/worker/src/x.ts', "import '@spectrum/bus/src/lanes.ts'\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "import { connect } from 'node:tls'\nconnect()\n"],
  ['no-cycles', 'networks/irc/src/session.ts', "import { x } from './index.ts'\nexport const session = x\n"],
  ['no-cycles', 'packages/network/src/index.ts', "import '@spectrum/messages'\n"],
  ['named-homes', 'packages/bus/src/utils.ts', 'export const x = 1\n'],
]

test('a tree that keeps the rules has no violations', () => {
  assert.deepEqual(violationsOf(clean), [])
})

for (const [rule, file, text] of breaches)
  test(`${rule}: ${text.trim().replaceAll('\n', '; ')} in ${file}`, () => {
    // Breaking the order of packages by a cycle breaks two rules; the one that is meant must be among them.
    const withMessages = file === 'packages/network/src/index.ts'
    const messages = { 'packages/messages/src/index.ts': "export { z } from '@spectrum/network'\n" }
    const found = violationsOf({ ...clean, ...(withMessages ? messages : {}), [file]: text })
    assert.ok(
      found.some(each => each.rule === rule && (rule === 'no-cycles' || each.file === file)),
      JSON.stringify(found),
    )
  })

test('this checkout keeps the rules', () => {
  assert.deepEqual(violations(resolve(import.meta.dirname, '..')), [])
})

function violationsOf(files) {
  const root = mkdtempSync(join(tmpdir(), 'import-rules-'))
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true })
      writeFileSync(join(root, path), text)
    }
    return violations(root)
  } finally {
    rmSync(root, { recursive: true })
  }
}
