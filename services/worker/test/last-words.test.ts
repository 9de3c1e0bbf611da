import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { after, before, test } from 'node:test'
import { commandLane, placementKey, protoValue } from '@spectrum/bus'
import { irc } from '@spectrum/irc'
import { Command, commandCodec, Placement, Placement_State } from '@spectrum/messages'
import type { Network } from '@spectrum/network'
import type { RunningService } from '@spectrum/service-kit'
import { instance, Neighbours } from './neighbours.ts'
import { workerHere } from './worker.ts'

let server: Server
let neighbours: Neighbours
let worker: RunningService
let quits = 0

/** Somebody speaks to the user in the moment in which they leave: the line is on its way when the server reads the QUIT. */
function speakAtQuit(): Server {
  return createServer(socket => {
    let nick = ''
    let rest = ''
    // A session that is still connecting when the worker ends just goes.
    socket.on('error', () => socket.destroy())
    socket.setEncoding('utf8').on('data', (chunk: string | Buffer) => {
      const lines = (rest + chunk).split('\r\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line.startsWith('NICK ')) {
          nick = line.slice(5)
          socket.write(`:irc.example 001 ${nick} :Welcome\r\n:irc.example 376 ${nick} :End\r\n`)
        }
        if (!line.startsWith('QUIT')) continue
        quits++
        const words = Array.from({ length: 50 }, (_, i) => `:juliet!j@h PRIVMSG ${nick} :word ${quits}.${i}\r\n`)
        socket.end(`${words.join('')}ERROR :Closing link\r\n`)
      }
    })
  })
}

before(async () => {
  server = speakAtQuit()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  neighbours = await Neighbours.start()
  await start()
  await neighbours.addBackend(0)
  await neighbours.addBackend(1)
})
after(async () => {
  await worker?.[Symbol.asyncDispose]()
  await neighbours?.[Symbol.asyncDispose]()
  server?.close()
})

async function start(): Promise<void> {
  const { port } = server.address() as AddressInfo
  worker = await workerHere(neighbours.nats.url, { network: irc as unknown as Network }, [
    `--service.irc_server=127.0.0.1:${port}`,
    '--irc.flood_rate=0',
  ])
}

/** Every word of one leave, in order, and before whatever the next connection brings. */
async function heardAll(user: string, quit: number): Promise<void> {
  const pattern = new RegExp(`word ${quit}\\.(\\d+)»`)
  await neighbours.hears(user, new RegExp(`word ${quit}\\.49»`))
  const heard = neighbours.told(user).flatMap(line => pattern.exec(line)?.[1] ?? [])
  assert.deepEqual(
    heard,
    Array.from({ length: 50 }, (_, i) => String(i)),
  )
}

test('what is said to a user while the worker leaves is told before the backend is released', async () => {
  const user = 'romeo@example.org'
  await neighbours.register(user, 'romeo')
  neighbours.presence(user, 'orchard')
  await neighbours.hears(user, /orchard: gateway 0/)
  await worker[Symbol.asyncDispose]()
  await heardAll(user, 1)
  assert.ok(!neighbours.told(user).some(line => line.includes('gone')))
  await start()
})

test('what is said to a user while the session moves is told, too', async () => {
  const user = 'paris@example.org'
  await neighbours.register(user, 'paris')
  neighbours.presence(user, 'tomb')
  await neighbours.hears(user, /tomb: gateway 0/)
  const from = quits
  const old = neighbours.generation
  const now = ++neighbours.generation
  const placement: Placement = {
    backend: 1,
    generation: now,
    state: Placement_State.STATE_STARTED,
    movedFrom: { backend: 0, generation: old },
  }
  await neighbours.router.table('placements', protoValue(Placement)).put(placementKey(instance, user), placement)
  const command = { $case: 'moveSession' as const, value: { backend: 1, generation: now } }
  const lane = neighbours.router.publisher(commandLane(instance, 0), commandCodec)
  lane.publish(Command.create({ key: `move:${now}:${user}`, user, generation: old, command }))
  await heardAll(user, from + 1)
})
