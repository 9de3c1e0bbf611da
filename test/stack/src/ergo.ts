import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDirectory, withLock } from './cache.ts'
import { baseEnvironment, onPath, searchPath } from './environment.ts'
import { IrcServer, type IrcServerOptions } from './irc-server.ts'
import { freePort, isListening } from './ports.ts'
import { startChild } from './server.ts'
import { TemporaryFolder } from './temporary.ts'

const run = promisify(execFile)

/** The pinned release, and the Go module version of that commit. */
const release = '2.19.1'
const moduleVersion = 'v1.2.1-0.20260805011724-63c743a70644'

/** Ergo's own module is built with these replacements, which hold only for a main module. */
const goModule = `module ergo-build
go 1.26
require github.com/ergochat/ergo ${moduleVersion}
replace github.com/gorilla/websocket => github.com/ergochat/websocket v1.4.2-oragono1
replace github.com/xdg-go/scram => github.com/ergochat/scram v1.0.2-ergo1
`

/** Ergo cannot be had on this machine; the message says why in one sentence. */
export class ErgoUnavailableError extends Error {
  override name = 'ErgoUnavailableError'
}

/**
 * Starts an Ergo on loopback: IRCv3 with accounts, history and clients that stay online. Accounts are registered over
 * IRC with `NickServ REGISTER <password>` or `REGISTER * * <password>`. No throttles and no flood limits.
 *
 * @throws ErgoUnavailableError where it is neither installed nor can be built with Go
 */
export async function startErgo(options: IrcServerOptions = {}): Promise<IrcServer> {
  const command = await findErgo()
  const folder = await TemporaryFolder.create('ergo')
  const port = options.port ?? (await freePort())
  const config = join(folder.path, 'ircd.yaml')
  const password = options.password === undefined ? undefined : await hash(command, options.password)
  await writeFile(config, configuration(folder.path, port, password), { mode: 0o600 })
  const child = await startChild(
    {
      name: 'ergo',
      command,
      args: ['run', '--conf', config],
      cwd: folder.path,
      isReady: () => isListening(port),
      ...(options.onLine ? { onLine: options.onLine } : {}),
    },
    folder,
  )
  return new IrcServer(port, child, folder.path, folder)
}

let found: Promise<string> | undefined

/** The Ergo IRC server from the search path, or built from its pinned version into the cache. */
export function findErgo(): Promise<string> {
  found ??= (async () => {
    for (const path of searchPath().map(folder => join(folder, 'ergo'))) if (await isErgo(path)) return path
    return buildErgo()
  })()
  found.catch(() => {
    found = undefined
  })
  return found
}

/** Debian's program of the same name is a chemistry program: only its version output tells them apart. */
async function isErgo(path: string): Promise<boolean> {
  if (!existsSync(path)) return false
  const { stdout } = await run(path, ['--version'], { timeout: 10_000 }).catch(() => ({ stdout: '' }))
  return /^ergo-2\.\d+/.test(stdout)
}

async function buildErgo(): Promise<string> {
  const cache = join(await cacheDirectory(), 'ergo')
  const target = join(cache, `ergo-${release}`)
  if (await isErgo(target)) return target
  const go = onPath('go')
  if (go === undefined)
    throw new ErgoUnavailableError('Please install Go 1.26 or newer: the Ergo IRC server is built with it.')
  await mkdir(cache, { recursive: true })
  return withLock(join(cache, 'lock'), async () => {
    if (await isErgo(target)) return target
    const work = await mkdtemp(join(cache, 'build-'))
    try {
      await writeFile(join(work, 'go.mod'), goModule)
      const env = {
        ...baseEnvironment(),
        GOPATH: join(work, 'path'),
        GOCACHE: join(work, 'objects'),
        GOFLAGS: '-mod=mod -modcacherw',
        CGO_ENABLED: '0',
        // The Go that is here, or none: no other one is fetched.
        GOTOOLCHAIN: 'local',
      }
      const output = join(work, 'ergo')
      await run(go, ['build', '-o', output, 'github.com/ergochat/ergo'], {
        cwd: work,
        env,
        maxBuffer: 64 << 20,
        timeout: 300_000,
      })
      await rename(output, target)
      return target
    } catch (error) {
      const said = (error as { stderr?: string }).stderr?.trim().split('\n').pop() ?? (error as Error).message
      throw new ErgoUnavailableError(`The Ergo IRC server ${release} could not be built here: ${said.trim()}`, {
        cause: error,
      })
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  })
}

async function hash(command: string, password: string): Promise<string> {
  const child = run(command, ['genpasswd', '--quiet'])
  child.child.stdin?.end(`${password}\n`)
  return (await child).stdout.trim()
}

function configuration(dir: string, port: number, password: string | undefined): string {
  return `network: { name: Example }
server:
  name: irc.example.net
  listeners: { "127.0.0.1:${port}": {} }
${password === undefined ? '' : `  password: "${password}"\n`}  casemapping: ascii
  enforce-utf8: true
  max-sendq: 16M
  lookup-hostnames: false
  forward-confirm-hostnames: false
  check-ident: false
  suppress-lusers: true
  ip-limits: { count: false, throttle: false }
  ip-cloaking: { enabled: false }
accounts:
  authentication-enabled: true
  registration: { enabled: true, allow-before-connect: true, bcrypt-cost: 4, throttling: { enabled: false } }
  login-throttling: { enabled: false }
  nick-reservation: { enabled: true, method: strict, additional-nick-limit: 0 }
  multiclient: { enabled: true, allowed-by-default: true, always-on: opt-in, auto-away: opt-in }
  vhosts: { enabled: false }
channels:
  default-modes: +nt
  max-channels-per-client: 10000
  registration: { enabled: true, max-channels-per-account: 1000 }
datastore: { path: ${JSON.stringify(join(dir, 'ircd.db'))}, autoupgrade: true }
languages: { enabled: false }
limits:
  { nicklen: 32, identlen: 20, realnamelen: 150, channellen: 64, awaylen: 390, kicklen: 390, topiclen: 390,
    monitor-entries: 100, whowas-entries: 100, chan-list-modes: 100, registration-messages: 1024,
    multiline: { max-bytes: 4096, max-lines: 100 } }
fakelag: { enabled: false }
history:
  { enabled: true, channel-length: 2048, client-length: 256, autoresize-window: 3d, autoreplay-on-join: 0,
    chathistory-maxmessages: 1000, znc-maxmessages: 2048,
    restrictions: { expire-time: 1w, query-cutoff: none, grace-period: 1h }, persistent: { enabled: false },
    retention: { allow-individual-delete: true, enable-account-indexing: false },
    tagmsg-storage: { default: false, whitelist: ["+draft/react"] } }
logging: [ { method: stderr, type: "* -userinput -useroutput", level: info } ]
`
}
