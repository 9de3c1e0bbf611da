import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cacheDirectory, withLock } from './cache.ts'
import { baseEnvironment, onPath } from './environment.ts'

const run = promisify(execFile)

/** Package lists older than this are fetched again before anything is downloaded: old ones name files that are gone. */
const listsMaxAgeMs = 12 * 3600_000

/**
 * Packages that are never needed beside the machine's own: the C library must be the machine's (its loader belongs to
 * it), LLVM compiles PostgreSQL's long queries only, and the rest matters to an installation alone.
 */
const leftOut =
  /^(libllvm.*|libc6|libc-.*|libc6-.*|locales.*|tzdata|perl.*|.*-perl|perl-.*|.*-dev|debconf.*|adduser|ucf|dpkg|openssl|ssl-cert|ca-certificates|sysvinit.*|systemd.*|init-system-helpers|dbus.*|logrotate|cron.*|gnutls-bin|libgnutls-.*|libgnutlsxx.*|netbase|lsb-base|media-types|sensible-utils|cloud-sdk.*)$/

/**
 * The folder of `.cache/debian/` that holds these packages, and those they depend on that this machine lacks,
 * unpacked. Fetches them the first time, with apt's own client and lists of our own: nothing is installed and no
 * system service is started, so it works for any user.
 *
 * @param name - names the folder; one per server
 * @throws Error in one sentence when this is no Debian or Ubuntu, or the packages cannot be had
 */
export async function unpackedPackages(name: string, packages: readonly string[]): Promise<string> {
  const cache = join(await cacheDirectory(), 'debian')
  const target = join(cache, `${name}-${await systemId()}`)
  if (existsSync(target)) return target
  if (!onPath('apt-get') || !onPath('dpkg-deb')) throw new Error('this is not a Debian or Ubuntu machine')
  await mkdir(cache, { recursive: true })
  return withLock(join(cache, 'lock'), async () => {
    if (existsSync(target)) return target
    const work = await mkdtemp(join(cache, 'unpack-'))
    try {
      const apt = new Apt(cache)
      // Minutes where the line is slow: whoever waits at the terminal shall know for what.
      process.stderr.write(`Fetching ${name} (Debian package ${packages.join(', ')}) …\n`)
      await apt.update()
      await apt.download([...new Set([...packages, ...(await apt.missingFor(packages))])], work)
      const root = join(work, 'root')
      await mkdir(root)
      for (const file of (await readdir(work)).filter(file => file.endsWith('.deb')))
        await run('dpkg-deb', ['-x', join(work, file), root])
      await rename(root, target)
      return target
    } finally {
      await rm(work, { recursive: true, force: true })
    }
  })
}

/** Removes what was unpacked under this name, so that it is fetched anew. */
export async function forgetPackages(name: string): Promise<void> {
  const cache = join(await cacheDirectory(), 'debian')
  await rm(join(cache, `${name}-${await systemId()}`), { recursive: true, force: true })
}

/** apt's client with state of its own below `folder`. */
class Apt {
  #folder: string
  #options: string[]

  constructor(folder: string) {
    this.#folder = folder
    const settings = {
      'Dir::State::Lists': join(folder, 'lists'),
      'Dir::Cache': join(folder, 'apt'),
      'Dir::Cache::archives': join(folder, 'apt/archives'),
      // As root apt would change to a user of its own, who may not enter our folders.
      'APT::Sandbox::User': '',
      'Acquire::Retries': '3',
      'Acquire::Languages': 'none',
    }
    this.#options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  }

  /** Fetches the package lists unless those here are fresh. */
  async update(): Promise<void> {
    const lists = join(this.#folder, 'lists')
    const stamp = join(this.#folder, 'apt/pkgcache.bin')
    const age = await stat(stamp).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => Number.POSITIVE_INFINITY,
    )
    if (age < listsMaxAgeMs) return
    await mkdir(join(lists, 'partial'), { recursive: true })
    await mkdir(join(this.#folder, 'apt/archives/partial'), { recursive: true })
    // One broken third-party source must not spoil the others: what counts is whether the package is found afterwards.
    await this.#apt('apt-get', ['update', '-q']).catch(() => undefined)
  }

  /** The packages that installing these would add to this machine. */
  async missingFor(packages: readonly string[]): Promise<string[]> {
    try {
      const { stdout } = await this.#apt('apt-get', ['-s', '--no-install-recommends', 'install', ...packages])
      return needed(stdout.split('\n').map(line => /^Inst (\S+)/.exec(line)?.[1] ?? ''))
    } catch {
      // apt plans nothing on a machine where some other package lacks what it depends on.
      return this.#dependenciesOf(packages)
    }
  }

  /** All that these depend on and that is not installed, alternatives included. */
  async #dependenciesOf(packages: readonly string[]): Promise<string[]> {
    const relations = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map(
      name => `--no-${name}`,
    )
    const { stdout: all } = await this.#apt('apt-cache', ['depends', '--recurse', ...relations, ...packages])
    const { stdout: status } = await this.#apt(
      'dpkg-query',
      ['-W', '-f', `\${Package} \${db:Status-Status}\\n`],
      undefined,
      [],
    )
    const isInstalled = new Set(
      status
        .split('\n')
        .filter(line => line.endsWith(' installed'))
        .map(line => line.split(' ')[0]),
    )
    const names = needed(all.split('\n').filter(line => /^[a-z0-9]/.test(line))).filter(name => !isInstalled.has(name))
    // Alternatives may be names that this release does not have.
    const { stdout: known } = await this.#apt('apt-cache', ['show', '--no-all-versions', ...names])
    const isKnown = new Set(known.split('\n').flatMap(line => /^Package: (\S+)/.exec(line)?.[1] ?? []))
    return names.filter(name => isKnown.has(name))
  }

  /** Downloads exactly these packages into a folder. */
  async download(packages: readonly string[], folder: string): Promise<void> {
    await this.#apt('apt-get', ['download', '-q', ...packages], folder)
  }

  async #apt(
    command: string,
    args: readonly string[],
    cwd?: string,
    options: readonly string[] = this.#options,
  ): Promise<{ stdout: string }> {
    try {
      return await run(command, [...options, ...args], {
        env: { ...baseEnvironment(), LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' },
        maxBuffer: 64 << 20,
        ...(cwd === undefined ? {} : { cwd }),
      })
    } catch (error) {
      const said = (error as { stderr?: string }).stderr ?? ''
      const reason = said.split('\n').find(line => line.startsWith('E:')) ?? (error as Error).message
      throw new Error(`${command} ${args[0]} failed: ${reason}`, { cause: error })
    }
  }
}

/** Without what must be the machine's own; names of another processor's packages are left out too. */
function needed(names: readonly string[]): string[] {
  return names.filter(name => name !== '' && !name.includes(':') && !leftOut.test(name))
}

/** Names release and processor, because unpacked programs run only where they were made for. */
async function systemId(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const field = (name: string) => new RegExp(`^${name}="?([^"\\n]*)`, 'm').exec(release)?.[1] ?? 'unknown'
  return `${field('ID')}-${field('VERSION_ID')}-${process.arch}`
}
