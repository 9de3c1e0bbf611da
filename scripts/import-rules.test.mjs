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
  'packages/bus/src/processes.ts': 'process.kill(1, 0)\n',
  'packages/service-kit/package.json': '{"name":"@spectrum/service-kit"}',
  'packages/service-kit/src/index.ts': "process.kill(process.pid, 'SIGKILL')\nprocess.exitCode = 1\n",
  'packages/service-kit/test/child.mjs':
    "import { spawn } from 'node:child_process'\nspawn(process.env.HOME, [], process)\n",
  // Names that only look like globals.
  'packages/messages/src/locals.ts': [
    "import { fetch, type process } from './index.ts'",
    'export const ask = (process: { env: string; kill(): void }) => process.kill() ?? process.env ?? fetch()',
    'export const more = ({ require, global }: Record<string, string>) => require ?? global',
    'export class Store { fetch(): typeof WebSocket | undefined { return this.fetch() } }',
    'for (const process of []) [process, { fetch: 1, process: 2 }, (globalThis as { x?: unknown }).x]',
    '',
  ].join('\n'),
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
  'test/bench/lib/program.mjs': 'process.exit(0)\n',
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
  ['one-door', 'services/worker/src/x.ts', "import { DatabaseSync } from 'node:sqlite'\nDatabaseSync\n"],
  ['one-door', 'services/worker/src/x.mjs', "import { connect } from '@nats-io/transport-node'\nconnect()\n"],
  ['environment-only-in-config', 'services/worker/src/x.ts', 'export const x = process.env.HOME\n'],
  ['environment-only-in-config', 'services/worker/src/x.ts', 'const { env } = process\nenv.HOME\n'],
  ['environment-only-in-config', 'services/worker/src/x.ts', 'const f = ({ env: { HOME } } = process) => HOME\n'],
  ['environment-only-in-config', 'services/worker/src/x.ts', 'let env\n;({ env } = globalThis.process)\n'],
  ['environment-only-in-config', 'services/worker/src/x.ts', "globalThis['process']!.env.HOME\n"],
  ['environment-only-in-config', 'services/worker/src/x.ts', 'const { process: { env } } = globalThis\n'],
  ['environment-only-in-config', 'services/worker/src/x.ts', '(process as { env: object })?.env\n'],
  ['environment-only-in-config', 'services/worker/src/x.ts', '{ const process = 1 }\nprocess.env.HOME\n'],
  ['environment-only-in-config', 'services/worker/src/x.mjs', 'export const x = process.env.HOME\n'],
  ['environment-only-in-config', 'packages/bus/src/x.ts', "import { env as x } from 'node:process'\nx.HOME\n"],
  ['environment-only-in-config', 'packages/bus/src/x.ts', "export { env } from 'process'\n"],
  ['environment-only-in-config', 'packages/bus/src/x.ts', "export const x = process['env']\n"],
  ['environment-only-in-config', 'packages/bus/src/x.ts', 'export const x = process[`env`]\n'],
  ['process-by-member', 'services/worker/src/x.ts', "process['e' + 'nv']\n"],
  ['process-by-member', 'services/worker/src/x.ts', 'const p = process\np.env\n'],
  ['process-by-member', 'services/worker/src/x.ts', "Reflect.get(process, 'env')\n"],
  ['process-by-member', 'services/worker/src/x.ts', "import p from 'node:process'\np.env\n"],
  ['process-by-member', 'services/worker/src/x.ts', "import { default as p } from 'process'\np.env\n"],
  ['process-by-member', 'services/worker/src/x.ts', "const p = await import('node:process')\np.env\n"],
  ['process-by-member', 'services/worker/src/x.ts', "process.kill(process.pid, 'SIGKILL')\n"],
  ['process-by-member', 'packages/network/src/x.ts', 'process.kill(1, 0)\n'],
  ['process-by-member', 'networks/irc/src/x.ts', 'process.cpuUsage()\n'],
  ['process-by-member', 'networks/irc/src/x.ts', 'export const x = process.argv\n'],
  ['globals-by-name', 'services/worker/src/x.ts', "globalThis['pro' + 'cess'].env\n"],
  ['globals-by-name', 'services/worker/src/x.ts', 'const g = global\ng.process.env\n'],
  ['no-process-exit', 'services/worker/src/x.ts', 'process.exit(1)\n'],
  ['no-process-exit', 'services/worker/src/x.ts', "process['exit'](1)\n"],
  ['no-process-exit', 'services/worker/src/x.ts', "import { exit } from 'node:process'\nexit(1)\n"],
  ['no-process-exit', 'services/worker/src/x.ts', 'process.abort()\n'],
  ['no-process-exit', 'packages/bus/test/x.test.ts', 'const { exit } = process\nexit(1)\n'],
  ['no-hidden-imports', 'services/router/src/x.ts', "import { createRequire } from 'node:module'\ncreateRequire\n"],
  ['no-hidden-imports', 'services/router/src/x.ts', "import * as x from 'module'\nx.createRequire\n"],
  ['no-hidden-imports', 'services/router/src/x.ts', "const name = 'pg'\nawait import(name)\n"],
  ['no-hidden-imports', 'services/router/src/x.ts', "const name = 'pg'\nawait import('' + name)\n"],
  ['no-hidden-imports', 'services/router/src/x.ts', "process.getBuiltinModule('net')\n"],
  ['no-hidden-imports', 'services/router/src/x.ts', "new Function('return process')().env\n"],
  ['no-hidden-imports', 'services/router/src/x.ts', "eval('process.env')\n"],
  ['no-hidden-imports', 'packages/bus/src/x.cjs', "require('pg')\n"],
  ['one-door', 'services/router/src/x.ts', 'await import(`pg`)\n'],
  ['no-export-star', 'packages/bus/src/x.ts', "export * from './index.ts'\n"],
  ['no-default-export', 'packages/bus/src/x.ts', 'export default 1\n'],
  ['front-door', 'services/worker/src/x.ts', "import '../../../packages/bus/src/index.ts'\n"],
  ['front-door', 'services/worker/src/x.ts', "import '@spectrum/bus/src/lanes.ts'\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "import { connect } from 'node:tls'\nconnect()\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "import { connect } from 'net'\nconnect()\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "export { connect } from 'node:net'\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "import net = require('net')\nnet.connect\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "import { isIP, connect } from 'node:net'\nisIP(connect)\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "export const x = await import('node:net')\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "import { execSync } from 'node:child_process'\nexecSync\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "import { Worker } from 'node:worker_threads'\nWorker\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "import { lookup } from 'dns/promises'\nlookup\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "import { get } from 'node:https'\nget\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "import { createSocket } from 'dgram'\ncreateSocket\n"],
  ['sockets-through-host', 'networks/irc/src/x.mjs', "import { connect } from 'node:tls'\nconnect()\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "export const x = () => fetch('http://127.0.0.1/')\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "globalThis.fetch('http://127.0.0.1/')\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "{ const fetch = 1 }\nfetch('http://127.0.0.1/')\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', 'const { fetch: get } = globalThis\nget\n'],
  ['sockets-through-host', 'networks/irc/src/x.ts', "export const x = () => new WebSocket('ws://127.0.0.1')\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', "new EventSource('http://127.0.0.1')\n"],
  ['sockets-through-host', 'networks/irc/src/x.ts', 'export const x = { fetch }\n'],
  ['no-cycles', 'networks/irc/src/session.ts', "import { x } from './index.ts'\nexport const session = x\n"],
  ['no-cycles', 'packages/network/src/index.ts', "import '@spectrum/messages'\n"],
  ['named-homes', 'packages/bus/src/utils.ts', 'export const x = 1\n'],
  ['named-homes', 'packages/bus/src/helpers.mjs', 'export const x = 1\n'],
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
