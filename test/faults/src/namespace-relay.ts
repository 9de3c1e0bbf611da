import { connect } from 'node:net'
import { createRelay } from './relay.ts'

/** Runs in a network namespace of its own, where nobody else listens: who connects is led to a socket in the file system. */
const [path = ''] = process.argv.slice(2)

const server = createRelay(() => connect({ path, allowHalfOpen: true }))
server.listen(4222, '0.0.0.0', () => console.log('listening'))
