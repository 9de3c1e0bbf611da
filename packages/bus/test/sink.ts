import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

/** What an owner wrote, as the network saw it. */
export interface Written {
  pid: number
  user: string
  n: number
  at: number
}

/** Stands for a network: notes every line that owners write, and judges order, loss and doubles. */
export class Sink implements AsyncDisposable {
  readonly lines: Written[] = []
  /** Processes that had nothing more to write. */
  readonly lastWords = new Set<number>()
  readonly #sockets = new Set<Socket>()
  readonly #server = createServer(socket => this.#accept(socket))

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return (this.#server.address() as { port: number }).port
  }

  /** Per user: items missing up to the last number, doubles, and first sightings that come before an earlier number. */
  judge(expected: number): { lost: number; doubled: number; disordered: number } {
    const seen = new Set<number>()
    const last = new Map<string, number>()
    let doubled = 0
    let disordered = 0
    for (const { user, n } of this.lines) {
      if (seen.has(n)) {
        doubled++
        continue
      }
      seen.add(n)
      if (n < (last.get(user) ?? -1)) disordered++
      last.set(user, n)
    }
    return { lost: expected - seen.size, doubled, disordered }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    let rest = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      const at = performance.now()
      const parts = (rest + chunk).split('\n')
      rest = parts.pop() ?? ''
      for (const part of parts) {
        const [pid, user, n] = part.split(' ')
        if (user === 'last-word') this.lastWords.add(Number(pid))
        else this.lines.push({ pid: Number(pid), user: user ?? '', n: Number(n), at })
      }
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => this.#sockets.delete(socket))
  }
}
