import { connectBus, leaderResource } from '@spectrum/bus'
import type { NatsServer } from '@spectrum/stack'
import { LeaderTerm } from '../src/placement/leader-term.ts'
import { Occupancy, type OccupancyOptions } from '../src/placement/occupancy.ts'
import { StartSessions } from '../src/placement/start-sessions.ts'
import { instance, ListLog } from './harness.ts'

/** A leader that places whoever comes: the router without its database. */
export interface Placing extends AsyncDisposable {
  readonly term: LeaderTerm
  readonly occupancy: Occupancy
  readonly sessions: StartSessions
  readonly log: ListLog
}

export async function startPlacing(
  nats: NatsServer,
  options: Partial<OccupancyOptions & { loginDelayMs: number }> = {},
): Promise<Placing> {
  const log = new ListLog()
  await using parts = new AsyncDisposableStack()
  const bus = parts.use(await connectBus({ servers: [nats.url], service: 'router', instance, log }))
  const ownership = await bus.owners.acquire(leaderResource(instance))
  if (ownership === undefined) throw new Error('somebody else leads')
  const occupancy = await Occupancy.load({
    bus,
    instance,
    usersPerBackend: 100,
    log,
    mayAct: () => ownership.mayAct(),
    onRecount: () => log.info({}, 'recount'),
    onFenced: () => log.info({}, 'fenced'),
    ...options,
  })
  const sessions = new StartSessions(bus, instance)
  const term = parts.use(
    new LeaderTerm({
      ownership,
      instance,
      occupancy,
      sessions,
      log,
      movesIdle: true,
      admit: async ({ user }) => ({ username: user, settings: {} }),
      onLogin: () => undefined,
      onFenced: () => log.info({}, 'fenced'),
      serve: () => ({ [Symbol.dispose]: () => undefined }),
      ...(options.loginDelayMs === undefined ? {} : { loginDelayMs: options.loginDelayMs }),
    }),
  )
  const all = parts.move()
  return { term, occupancy, sessions, log, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** Places so many users, 500 of them at a time, and answers how many seconds that took. */
export async function placeMany({ term }: Placing, users: number): Promise<number> {
  const began = performance.now()
  let next = 0
  const place = async () => {
    for (let index = next++; index < users; index = next++)
      await term.login({ user: `user${index}@example.org`, nickHint: '' })
  }
  await Promise.all(Array.from({ length: 500 }, place))
  return (performance.now() - began) / 1000
}
