import { Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'

/** How long the peer's last words may take to be read. */
const lastWordsMs = 500
const bufferBytes = 64 * 1024

/**
 * A socket that emits UTF-8 text as `data`, also what its peer wrote before the end of the connection when a write of our own has failed
 * meanwhile: Node gives up both directions at once then, and what lies unread in the kernel is lost. It reads past its stream,
 * since a stream drops what comes after an error in either direction.
 */
export class PatientSocket extends Socket {
  #isWaiting = false

  constructor() {
    const decoder = new StringDecoder('utf8')
    super({
      onread: {
        buffer: Buffer.allocUnsafeSlow(bufferBytes),
        callback: (bytes, buffer) => {
          this.emit('data', decoder.write(Buffer.from(buffer.buffer, buffer.byteOffset, bytes)))
          return true
        },
      },
    })
  }

  override destroy(error?: Error): this {
    const isWriteError = (error as NodeJS.ErrnoException | undefined)?.syscall === 'write'
    if (!isWriteError || this.readableEnded) return super.destroy(error)
    if (this.#isWaiting) return this
    this.#isWaiting = true
    this.resume()
    // The end of what there is to read closes it sooner.
    const late = setTimeout(() => super.destroy(error), lastWordsMs)
    this.once('close', () => clearTimeout(late))
    return this
  }
}
