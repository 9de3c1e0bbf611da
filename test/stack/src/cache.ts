import { accessSync, constants } from 'node:fs'
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { repositoryRoot, userCacheDirectory } from './environment.ts'
import { waitUntil } from './wait-until.ts'

/** Where downloaded programs are kept: `.cache/` of the checkout, or the user's own cache when that is not writable. */
export async function cacheDirectory(): Promise<string> {
  const candidates = [join(repositoryRoot, '.cache'), userCacheDirectory()]
  const reasons: string[] = []
  for (const folder of candidates) {
    try {
      await mkdir(folder, { recursive: true })
      accessSync(folder, constants.W_OK)
      return folder
    } catch (error) {
      reasons.push(`${folder} (${(error as Error).message})`)
    }
  }
  throw new Error(`no folder to keep downloaded programs in is writable: ${reasons.join(', ')}`)
}

/**
 * Runs `work` while no other process on this machine runs work under the same lock file. A lock whose owner is gone
 * is taken over.
 */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  await waitUntil(() => takeLock(file), {
    deadlineMs: 600_000,
    everyMs: 100,
    describe: () => `another process holds ${file}`,
  })
  try {
    return await work()
  } finally {
    await rm(file, { force: true })
  }
}

/** Makes file names unique within this process. */
let attempts = 0

/**
 * Writes our process id to a lock file and answers true, unless another process has: then false. A lock whose owner is gone is
 * removed, and the answer is false too: try again.
 */
export async function takeLock(file: string): Promise<boolean> {
  // A hard link appears together with its content: nobody ever reads a lock without an owner in it.
  const mine = `${file}.${process.pid}.${++attempts}`
  await writeFile(mine, String(process.pid))
  try {
    await link(mine, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    await rm(mine, { force: true })
  }
  const owner = await readFile(file, 'utf8').catch(() => undefined)
  if (owner !== undefined && !isAlive(Number(owner))) await removeStale(file, owner)
  return false
}

/** Removes the lock of a dead owner, and only that: somebody else may have replaced it a moment ago. */
async function removeStale(file: string, owner: string): Promise<void> {
  const aside = `${file}.stale.${process.pid}.${++attempts}`
  try {
    await rename(file, aside)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  if ((await readFile(aside, 'utf8')) !== owner) await link(aside, file)
  await rm(aside, { force: true })
}

/** True while a process with this id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
