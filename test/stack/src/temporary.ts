import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A fresh folder that disappears with what used it. */
export class TemporaryFolder implements AsyncDisposable {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  /** Makes one, for another user if so asked. */
  static async create(name: string, owner?: { uid: number; gid: number }): Promise<TemporaryFolder> {
    const path = await mkdtemp(join(tmpdir(), `spectrum-${name}-`))
    if (owner) await chown(path, owner.uid, owner.gid)
    await chmod(path, 0o700)
    return new TemporaryFolder(path)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 })
  }
}
