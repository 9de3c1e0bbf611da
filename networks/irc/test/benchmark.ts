/**
 * How many lines a second one core carries through this network: `node networks/irc/test/benchmark.ts`.
 * Both ends are in this process: out of session.send() into a socket that swallows, and from a socket's chunks to host.emit().
 */
import { Duplex } from 'node:stream'
import type { RoomId } from '@spectrum/network'
import { createConnector } from './gateway-user.ts'
import { loginOf, RecordingHost } from './recording-host.ts'

class Wire extends Duplex {
  bytes = 0
  override _read(): void {}
  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.bytes += chunk.length
    done()
  }
  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    for (const { chunk } of chunks) this.bytes += chunk.length
    done()
  }
}

class CountingHost extends RecordingHost {
  count = 0
  readonly wire = new Wire()
  override emit(): void {
    this.count += 1
  }
  override connect(): Promise<Duplex> {
    return Promise.resolve(this.wire)
  }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const { connector } = createConnector({ server: ['127.0.0.1'] })

async function signIn(nick: string, members: string) {
  const host = new CountingHost()
  const session = connector.open(loginOf(nick), host)
  const stop = new AbortController()
  const run = session.run(stop.signal)
  await turn()
  host.wire.push(
    `:s 001 ${nick} :hi\r\n:s 005 ${nick} CASEMAPPING=rfc1459 PREFIX=(ohv)@%+ :x\r\n:s 376 ${nick} :end\r\n`,
  )
  await turn()
  session.features.rooms?.join({ room: '#bench' as RoomId, nick })
  await turn()
  await turn()
  host.wire.push(
    `:${nick}!u@h JOIN #bench\r\n:s 353 ${nick} = #bench :${members} ${nick}\r\n:s 366 ${nick} #bench :end\r\n`,
  )
  await turn()
  await turn()
  return { host, session, stop, run }
}

async function measure(name: string, lines: number, work: () => Promise<void>): Promise<void> {
  await work()
  const cpu = process.cpuUsage()
  const start = performance.now()
  for (let i = 0; i < 3; i++) await work()
  const ms = performance.now() - start
  const { user, system } = process.cpuUsage(cpu)
  const perLine = (user + system) / (lines * 3)
  console.log(
    `${name}: ${Math.round((lines * 3 * 1000) / ms).toLocaleString('en')} lines/s, ${perLine.toFixed(2)} µs of CPU each`,
  )
}

const { host, session, stop, run } = await signIn('me', 'bob')
const text = 'x'.repeat(60)
const LINES = 100_000
const chat = { kind: 'room', room: '#bench' as RoomId } as const

await measure('PRIVMSG out, 100 a turn', LINES, async () => {
  for (let i = 0; i < LINES; i++) {
    const sent = session.send({ key: 'k', chat, text })
    if (sent instanceof Promise) await sent
    if (i % 100 === 99) await turn()
  }
})
for (const [name, line, perChunk] of [
  ['PRIVMSG in, 300 a chunk', `:bob!~bob@host.example.org PRIVMSG #bench :${text}`, 300],
  ['PRIVMSG in, 1 a chunk', `:bob!~bob@host.example.org PRIVMSG #bench :${text}`, 1],
  [
    'PRIVMSG in with tags',
    `@time=${new Date().toISOString()};msgid=abcdefgh123456 :bob!~bob@host.example.org PRIVMSG #bench :${text}`,
    300,
  ],
  ['PRIVMSG in, not ASCII', `:bob!~bob@host.example.org PRIVMSG #bench :${'äöü €'.repeat(12)}`, 300],
  ['PRIVMSG in, formatted', `:bob!~bob@host.example.org PRIVMSG #bench :\x02bold\x02 and \x0304red\x03 ${text}`, 300],
] as const) {
  const chunk = Buffer.from(`${line}\r\n`.repeat(perChunk))
  await measure(name, LINES, async () => {
    for (let i = 0; i < LINES / perChunk; i++) {
      host.wire.emit('data', chunk)
      if (i % 300 === 299) await turn()
    }
  })
}

const USERS = 200
const nicks: string[] = []
global.gc?.()
const before = process.memoryUsage()
const users = []
for (let i = 0; i < USERS; i++) {
  users.push(await signIn(`u${i}`, nicks.join(' ')))
  for (const user of users) user.host.wire.push(`:u${i}!u@h JOIN #bench\r\n`)
  nicks.push(`u${i}`)
}
await turn()
global.gc?.()
const after = process.memoryUsage()
const perUser =
  (after.heapUsed + after.external + after.arrayBuffers - before.heapUsed - before.external - before.arrayBuffers) /
  USERS /
  1024
console.log(
  `memory: ${perUser.toFixed(1)} KiB a session with its stream object and recording host, ${USERS} in one channel (${global.gc ? 'after collection' : 'run with --expose-gc'})`,
)
for (const user of [...users, { stop, run, host }]) {
  user.host.wire.push(null)
  user.stop.abort('done')
}
await Promise.all([...users, { run }].map(user => user.run))
