import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { describe, test } from 'node:test'
import { NetworkError } from '@spectrum/network'
import { Flusher, Outbox } from './outbox.ts'
import { Pacer } from './pacing.ts'

describe('Pacer', () => {
  test('a burst, then a rate', () => {
    let now = 0
    const pacer = new Pacer({ now: () => now, monotonic: () => now }, 3, 2)
    assert.deepEqual([pacer.take(), pacer.take(), pacer.take(), pacer.take()], [true, true, true, false])
    assert.equal(pacer.waitMs(), 500)
    now = 500
    assert.deepEqual([pacer.take(), pacer.take()], [true, false])
    now = 100_000
    assert.deepEqual(
      [1, 2, 3, 4].map(() => pacer.take()),
      [true, true, true, false],
    )
  })
})

class Sink extends Duplex {
  written = ''
  writes = 0
  #held: (() => void)[] = []
  isStuck = false
  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written += chunk
    this.writes += 1
    if (this.isStuck) this.#held.push(done)
    else done()
  }
  release(): void {
    this.isStuck = false
    for (const done of this.#held.splice(0)) done()
  }
}
const clock = { now: () => Date.now(), monotonic: () => performance.now() }
const turn = () => new Promise(resolve => setImmediate(() => setImmediate(resolve)))

describe('Outbox', () => {
  test('what is said in one turn leaves in one write, at once', async () => {
    const sink = new Sink()
    const outbox = new Outbox(sink, new Pacer(clock, 5, 0), new Flusher(), 'utf-8')
    for (let i = 0; i < 100; i++) assert.equal(outbox.send(`L${i}`), undefined)
    await turn()
    assert.equal(sink.writes, 1)
    assert.equal(sink.written.split('\r\n').length, 101)
  })

  test('flood control holds lines back, in order; PING is answered past it', async () => {
    const sink = new Sink()
    const outbox = new Outbox(sink, new Pacer(clock, 2, 50), new Flusher(), 'utf-8')
    assert.equal(outbox.send('a'), undefined)
    const rest = outbox.sendAll(['b', 'c', 'd'])
    const last = outbox.send('e')
    assert.ok(rest instanceof Promise && last instanceof Promise)
    outbox.urgent('PONG')
    await turn()
    assert.equal(sink.written, 'a\r\nb\r\nPONG\r\n')
    await rest
    await last
    await turn()
    assert.equal(sink.written, 'a\r\nb\r\nPONG\r\nc\r\nd\r\ne\r\n')
  })

  test('a full socket makes the sender wait', async () => {
    const sink = new Sink()
    sink.isStuck = true
    const outbox = new Outbox(sink, new Pacer(clock, 5, 0), new Flusher(), 'utf-8')
    const waiting: Promise<void>[] = []
    let accepted = 0
    while (waiting.length === 0 && accepted < 1000) {
      const sent = outbox.send('x'.repeat(400))
      if (sent) waiting.push(sent)
      accepted += 1
    }
    assert.ok(accepted > 100 && accepted < 200, `${accepted}`)
    await turn()
    sink.release()
    await Promise.all(waiting)
    await turn()
    assert.equal(sink.written.length, accepted * 402)
  })

  test('closing refuses what waits and what comes', async () => {
    const outbox = new Outbox(new Sink(), new Pacer(clock, 1, 0.001), new Flusher(), 'utf-8')
    outbox.send('a')
    const waiting = outbox.send('b')
    outbox.close(new NetworkError('unreachable', 'gone'))
    await assert.rejects(async () => waiting, { code: 'unreachable' })
    assert.throws(() => outbox.send('c'), { code: 'unreachable' })
  })

  test('the queue is bounded', () => {
    const outbox = new Outbox(new Sink(), new Pacer(clock, 1, 0.001), new Flusher(), 'utf-8')
    const promises: Promise<void>[] = []
    assert.throws(
      () => {
        for (let i = 0; i < 2000; i++) {
          const sent = outbox.send('x')
          if (sent) promises.push(sent)
        }
      },
      { code: 'rate-limited' },
    )
    assert.ok(promises.length <= 1000)
    for (const promise of promises) promise.catch(() => {})
    outbox.close(new NetworkError('unreachable', 'gone'))
  })

  test('latin1 where so configured', async () => {
    const sink = new Sink()
    const outbox = new Outbox(sink, new Pacer(clock, 5, 0), new Flusher(), 'latin1')
    outbox.send('ä€😀')
    await turn()
    assert.equal(Buffer.from(sink.written).length > 0, true)
    assert.equal(sink.written, `${Buffer.from([0xe4]).toString()}??\r\n`)
  })
})
