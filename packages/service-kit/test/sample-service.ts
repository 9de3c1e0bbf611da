// A service for the tests: `node sample-service.ts <how it behaves> <flags of the configuration>`.
import { createServer } from 'node:net'
import { loadConfig } from '@spectrum/config'
import { type RunningService, runService, type ServiceContext } from '../src/index.ts'

const behaviours: Record<string, (context: ServiceContext) => Promise<RunningService>> = {
  async drains({ log }) {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    let asked = 0
    return {
      ready: () => ++asked > 1 || 'the bus is away',
      async [Symbol.asyncDispose]() {
        await new Promise(resolve => setTimeout(resolve, 100))
        await new Promise(resolve => server.close(resolve))
        log.info({}, 'handed over')
      },
    }
  },
  async hangs() {
    setInterval(() => {}, 1_000)
    return { [Symbol.asyncDispose]: () => new Promise(() => {}) }
  },
  async hangsIdle() {
    return { [Symbol.asyncDispose]: () => new Promise(() => {}) }
  },
  async leaks() {
    setInterval(() => {}, 1_000)
    return { async [Symbol.asyncDispose]() {} }
  },
  async failsToClose() {
    return { [Symbol.asyncDispose]: () => Promise.reject(new Error('the lane did not close')) }
  },
  async failsToStart() {
    throw new Error('the bus refused')
  },
  startsSlowly: ({ log, stopping }) =>
    new Promise((_, reject) => {
      log.info({}, 'waiting for the bus')
      stopping.addEventListener('abort', () => reject(stopping.reason))
    }),
  async throws() {
    setImmediate(() => {
      throw new Error('an accident')
    })
    return { async [Symbol.asyncDispose]() {} }
  },
  async rejects() {
    setImmediate(() => Promise.reject(new Error('an accident')))
    return { async [Symbol.asyncDispose]() {} }
  },
  async brokenReadiness() {
    return {
      ready: () => {
        throw new Error('no answer')
      },
      async [Symbol.asyncDispose]() {},
    }
  },
}

const [behaviour = '', ...argv] = process.argv.slice(2)
const start = behaviours[behaviour]
if (!start) throw new Error(`no behaviour ${behaviour}`)
await runService({
  name: 'router',
  version: '1.2.3',
  config: () => loadConfig({ argv, env: {} }),
  drainMs: 1_500,
  start,
})
