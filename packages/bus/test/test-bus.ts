import type { LaneCodec } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'
import { type Bus, type BusOptions, connectBus, instanceKey } from '../src/index.ts'

export const instance = instanceKey('irc.test')

/** One item of the tests' lanes. */
export interface Line {
  user: string
  n: number
  /** Wall clock of the publisher, milliseconds. */
  at?: number
}

export const lineCodec: LaneCodec<Line> = {
  encode: items => Buffer.from(JSON.stringify(items)),
  decode: payload => JSON.parse(Buffer.from(payload).toString('utf8')) as Line[],
  userOf: line => line.user,
  sizeOf: line => 40 + line.user.length,
}

/** A bus, and what it counted and logged. */
export interface TestBus extends AsyncDisposable {
  bus: Bus
  counts: Map<string, number>
  logs: { level: string; message: string; fields: object }[]
}

export async function openBus(url: string, options: Partial<BusOptions> = {}): Promise<TestBus> {
  const counts = new Map<string, number>()
  const logs: TestBus['logs'] = []
  const entry = (level: string) => (fields: object, message: string) => void logs.push({ level, message, fields })
  const log: Logger = { debug: entry('debug'), info: entry('info'), warn: entry('warn'), error: entry('error') }
  const bus = await connectBus({
    servers: [url],
    service: 'worker',
    instance,
    log,
    count: (name, labels, value = 1) => {
      const key = [name, ...Object.values(labels)].join(' ')
      counts.set(key, (counts.get(key) ?? 0) + value)
    },
    ...options,
  })
  return { bus, counts, logs, [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose]() }
}
