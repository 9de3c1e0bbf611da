import { counter, defineMetrics, deliveryMetrics, gauge, histogram, type Registry } from '@spectrum/service-kit'

/** What gauges ask for at each scrape. */
export interface WorkerState {
  backends(): number
  sessions(): number
  onlineSessions(): number
  rooms(): number
  waitingCommands(): number
  waitingLogins(): number
  waitingCopies(): number
  heldEventBytes(): number
}

export type WorkerMetrics = ReturnType<typeof defineWorkerMetrics>

/** Every metric of the worker. Reasons and results are codes; no label ever holds a user, a room or a text. */
export function defineWorkerMetrics(registry: Registry, state: WorkerState) {
  const metrics = defineMetrics(registry, {
    ...deliveryMetrics,
    backends: gauge('worker_backends', 'Backends that this process runs.', [], state.backends),
    sessions: gauge('worker_sessions', 'Sessions that this process runs.', [], state.sessions),
    online: gauge('worker_sessions_online', 'Sessions whose network accepted the login.', [], state.onlineSessions),
    rooms: gauge('worker_rooms', 'Rooms that sessions are in, counted once for each session.', [], state.rooms),
    waiting: gauge('worker_commands_waiting', 'Commands in the queues of sessions.', [], state.waitingCommands),
    heldEvents: gauge('worker_events_held_bytes', 'Events that the bus does not take now.', [], state.heldEventBytes),
    waitingLogins: gauge('worker_logins_waiting', 'Logins that wait for their turn.', [], state.waitingLogins),
    loginTurns: counter(
      'worker_login_turns_total',
      'Turns to log in: used, granted too late to be used, or granted when nobody waited any more.',
      ['result'],
    ),
    loginAsksFailed: counter('worker_login_asks_failed_total', 'Times that no router granted turns to log in.'),
    loginsThrottled: counter('worker_logins_throttled_total', 'Times that a host said that it is asked too often.'),
    commands: counter('worker_commands_total', 'Commands by kind and result: done, or the failure code.', [
      'kind',
      'result',
    ]),
    events: counter('worker_events_total', 'Events told to frontends, by kind.', ['kind']),
    forwarded: counter('worker_commands_forwarded_total', 'Commands passed on to another backend.', ['kind']),
    reconnects: counter('worker_connection_failures_total', 'Ends of network connections, by failure code.', ['code']),
    egressRefused: counter('worker_egress_refused_total', 'Addresses that users named and that are refused.', [
      'reason',
    ]),
    waitingCopies: gauge(
      'worker_session_copies_waiting',
      'Sessions whose last state is not copied to the database yet.',
      [],
      state.waitingCopies,
    ),
    copies: counter(
      'worker_session_copies_total',
      'Copies of sessions for the database: saved, failed (tried again), or dropped: backend-lost, too-large, too-many, refused.',
      ['result'],
    ),
    snapshots: counter('worker_snapshots_total', 'Session snapshots by result.', ['result']),
    takeovers: counter('worker_backends_acquired_total', 'Backends acquired and lost.', ['how']),
    handling: histogram(
      'worker_command_seconds',
      'Time to handle a command, of one in 64 those that are done at once, and of all others.',
      ['kind'],
    ),
  })
  return { ...metrics, countCommand: prebound(metrics.commands), countEvent: prebound(metrics.events) }
}

/** Children of a counter looked up once: hashing labels costs more than handling a command. */
function prebound<Label extends string>(metric: { labels(...values: string[]): { inc(): void } } & { name?: Label }) {
  const children = new Map<string, { inc(): void }>()
  return (first: string, second?: string): void => {
    const key = second === undefined ? first : `${first} ${second}`
    let child = children.get(key)
    if (child === undefined) {
      child = second === undefined ? metric.labels(first) : metric.labels(first, second)
      children.set(key, child)
    }
    child.inc()
  }
}
