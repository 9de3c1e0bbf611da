import { randomUUID } from 'node:crypto'
import type { Connector, Host, NetworkEvent } from '@spectrum/network'
import { conformance } from '@spectrum/network-testkit'
import { parseUser } from '../src/ids.ts'
import { parrot } from '../src/index.ts'

// Runs the conformance suite on a parrot that breaks one promise: one named on the command line, or one that the source beside
// it was changed to break. Started by spoilt.test.ts, which expects the suite to notice; not a test of its own.

type Emit = Host['emit']

const isText = (event: NetworkEvent, text: string) => event.type === 'message' && event.text === text

/** What is wrong with the events of each spoilt parrot. */
const spoiltEvents: Readonly<Record<string, (emit: Emit, host: Host) => Emit>> = {
  loses: emit => event => {
    if (!isText(event, 'homeward 50')) emit(event)
  },
  doubles: emit => event => {
    emit(event)
    if (isText(event, 'homeward 50')) emit(event)
  },
  reorders: emit => {
    let held: NetworkEvent | undefined
    return event => {
      if (isText(event, 'homeward 50')) held = event
      else emit(event)
      if (isText(event, 'homeward 51') && held !== undefined) emit(held)
    }
  },
  'tells the subject too early': emit => event => {
    if (event.type === 'room-ready') emit({ type: 'room-subject', room: event.room, subject: 'too early' })
    emit(event)
  },
  'echoes without a key': emit => event => {
    emit(event)
    if (event.type === 'message' && event.text.startsWith('theirs '))
      emit({ ...event, text: event.text.replace('theirs', 'mine') })
  },
  'logs what is said': (emit, host) => event => {
    if (event.type === 'message') host.log.info({ text: event.text }, 'somebody said something')
    emit(event)
  },
}

const spoilt = process.argv[2] ?? ''

conformance(`a parrot that ${spoilt}`, {
  network: { ...parrot, create: (config, context) => spoil(parrot.create(parrot.config.parse(config), context)) },
  config: { echo: false },
  account: { username: 'romeo', password: 'capulet-no-more', settings: {} },
  peerAccount: { username: 'juliet', password: 'montague-no-more', settings: {} },
  wrongAccount: { username: 'mercutio', password: 'wrong', settings: {} },
  room: number => `room-${number}`,
  onlineContact: 'polly',
  commands: { feed: { values: { food: 'seed' }, answer: /seed/ } },
  ...(spoilt === 'keeps them all' ? {} : { patienceMs: 3000 }),
  breakConnection: async ({ session }) => {
    await session.send({ key: randomUUID(), chat: { kind: 'contact', user: parseUser('polly') }, text: '!disconnect' })
  },
})

function spoil(connector: Connector): Connector {
  return {
    ...connector,
    ...(spoilt === 'takes any name' ? { parseUser: name => name as never } : {}),
    open: (login, host) => {
      const emit = spoiltEvents[spoilt]?.(event => host.emit(event), host)
      const session = connector.open(
        login,
        emit === undefined ? host : Object.assign(Object.create(host) as Host, { emit }),
      )
      if (spoilt !== 'throws what is no NetworkError') return session
      const run = session.run.bind(session)
      return Object.assign(session, {
        run: (signal: AbortSignal) =>
          run(signal).catch(cause => {
            throw new Error('something', { cause })
          }),
      })
    },
  }
}
