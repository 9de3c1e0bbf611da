import { chmod, chown, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isAlive } from './cache.ts'

/** A fresh folder that disappears with what used it. */
export class TemporaryFolder implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** Makes one, for another user if so asked. */
  static async create(name: string, owner?: { uid: number; gid: number }): Promise<TemporaryFolder> {
    const path = await mkdtemp(join(tmpdir(), `spectrum-${name}-${process.pid}-`))
    if (owner) await chown(path, owner.uid, owner.gid)
    await chmod(path, 0o700)
    return new TemporaryFolder(path)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}

/** Removes folders whose process was killed before it could. Another user's are left. */
export async function removeLeftFolders(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = /^spectrum-[a-z]+-(\d+)-[A-Za-z0-9]{6}$/.exec(name)?.[1]
    if (owner === undefined || isAlive(Number(owner))) continue
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch((error: NodeJS.ErrnoException) => {
      if (!['EACCES', 'EPERM', 'ENOTEMPTY'].includes(error.code ?? '')) throw error
    })
  }
}
