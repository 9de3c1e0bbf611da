import { randomUUID } from 'node:crypto'
import { conformance, type SignedIn } from '@spectrum/network-testkit'
import { parseUser } from '../src/ids.ts'
import { parrot } from '../src/index.ts'

const options = {
  network: parrot,
  account: { username: 'romeo', password: 'capulet-no-more', settings: {} },
  peerAccount: { username: 'juliet', password: 'montague-no-more', settings: {} },
  wrongAccount: { username: 'mercutio', password: 'wrong', settings: {} },
  room: (number: number) => `room-${number}`,
  closedRoom: 'members',
  onlineContact: 'polly',
  commands: { feed: { values: { food: 'seed' }, answer: /seed/ } },
  hasManyDevices: true,
  breakConnection: async ({ session }: SignedIn) => {
    await session.send({ key: randomUUID(), chat: { kind: 'contact', user: parseUser('polly') }, text: '!disconnect' })
  },
}

conformance('parrot', { ...options, config: { echo: false } })
conformance('parrot, slow', { ...options, config: { echo: false, latencyMs: 2 } })
