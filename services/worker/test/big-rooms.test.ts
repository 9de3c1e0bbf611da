import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { irc } from '@spectrum/irc'
import type { Network } from '@spectrum/network'
import type { RunningService } from '@spectrum/service-kit'
import { Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

const user = 'romeo@example.org'
let neighbours: Neighbours
let worker: RunningService | undefined
/** Who is in every channel of the server. */
let names = Array.from({ length: 5_000 }, (_, i) => `bird${String(i).padStart(4, '0')}`)

/** An IRC server with more people than a test can bring: it lets everybody in and lists them. */
const server = createServer(socket => {
  const say = (...lines: string[]) => socket.write(lines.map(line => `${line}\r\n`).join(''))
  let nick = ''
  socket.on('error', () => socket.destroy())
  createInterface({ input: socket }).on('line', line => {
    const [command, first = ''] = line.split(' ')
    if (command === 'NICK') nick = first.replace(/^:/, '')
    else if (command === 'CAP' && first === 'LS') say('CAP * LS :')
    else if (command === 'USER') say(`:raw.example 001 ${nick} :Welcome`, `:raw.example 376 ${nick} :End`)
    else if (command === 'PING') say(`:raw.example PONG raw.example ${first}`)
    else if (command === 'MODE') say(`:raw.example 324 ${nick} ${first} +n`)
    else if (command === 'QUIT') socket.end()
    else if (command === 'JOIN') {
      say(`:${nick}!u@h JOIN ${first}`)
      for (let i = 0; i < names.length; i += 40)
        say(`:raw.example 353 ${nick} = ${first} :${names.slice(i, i + 40).join(' ')}`)
      say(`:raw.example 353 ${nick} = ${first} :${nick}`, `:raw.example 366 ${nick} ${first} :End`)
    }
  })
})

before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  neighbours = await Neighbours.start()
  await neighbours.addBackend(0)
})
after(async () => {
  await worker?.[Symbol.asyncDispose]()
  await neighbours?.[Symbol.asyncDispose]()
  await new Promise(resolve => server.close(resolve))
})

async function restart(): Promise<void> {
  await worker?.[Symbol.asyncDispose]()
  const { port } = server.address() as AddressInfo
  const more = [`--service.irc_server=127.0.0.1:${port}`, '--irc.flood_rate=0']
  const limits = { missingMs: 200 }
  worker = await workerHere(neighbours.nats.url, { network: irc as unknown as Network, limits }, more)
}

test('of a room with thousands, too, only the difference is told after a restart', async () => {
  await restart()
  await neighbours.register(user, 'romeo')
  neighbours.presence(user, 'orchard')
  neighbours.join(user, 'orchard', '#flock', 'romeo')
  const joined = await neighbours.hears(user, /orchard: subject #flock/)
  let named = 0
  await neighbours.stored(user, 0, ({ rooms: [room] }) => {
    named = room?.occupants.length ?? 0
    return named + (room?.toldHashes.length ?? 0) === 5_000
  })
  assert.ok(named > 1_000 && named < 5_000, `${named} by name`)
  // One who is stored by name, one who is not, and one who is new.
  names = [...names.slice(1, -1), 'newcomer']
  await restart()
  await neighbours.hears(user, /gone #flock\/bird0000/, joined)
  assert.deepEqual(
    neighbours
      .told(user)
      .slice(joined)
      .filter(line => line.includes('#flock')),
    // Who of the others has left nobody can name any more.
    ['orchard: here #flock/newcomer', 'orchard: gone #flock/bird0000'],
  )
})
