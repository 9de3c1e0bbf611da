import { realClock, SignedIn, TestHost } from '@spectrum/network-testkit'
import { parseUser } from '../src/ids.ts'
import { parrot } from '../src/index.ts'

// A process that orders the parrot to end it, run by faults.test.ts.
const connector = parrot.create(parrot.config.parse({ allowCrash: true }), {
  log: new TestHost().log,
  clock: realClock,
})
const romeo = await new SignedIn(connector, { username: 'romeo', settings: {} }, new TestHost()).online()
setInterval(() => {}, 60_000)
await romeo.session.send({ key: 'last', chat: { kind: 'contact', user: parseUser('polly') }, text: '!crash' })
