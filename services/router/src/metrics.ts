import { counter, defineMetrics, deliveryMetrics, gauge, histogram, type Registry } from '@spectrum/service-kit'

/** What gauges ask for at each scrape. Of what only the leader knows, the others say 0. */
export interface RouterState {
  registeredUsers(): number
  placements(): number
  backends(): number
  isLeader(): boolean
  /** Undefined: another router leads, and this one says nothing. */
  backendsWanted(): number | undefined
  workersWanted(): number | undefined
  workers(): number
  waitingLogins(): number
  loginRate(): number
}

export type RouterMetrics = ReturnType<typeof defineRouterMetrics>

/** Every metric of the router. Results are codes of the failure table; no label ever holds a user or a username. */
export function defineRouterMetrics(registry: Registry, state: RouterState) {
  return defineMetrics(registry, {
    ...deliveryMetrics,
    registeredUsers: gauge('registered_users', 'Accounts in the database.', [], state.registeredUsers),
    placements: gauge(
      'placements',
      'Users placed on backends, as the leader counts; others say 0.',
      [],
      state.placements,
    ),
    backends: gauge('backends', 'Backends there are, as the leader knows; others say 0.', [], state.backends),
    isLeader: gauge('router_is_leader', '1 while this process places users.', [], () => Number(state.isLeader())),
    backendsWanted: gauge(
      'backends_wanted',
      'Backends that workers are to run, the spare among them. Of the leader alone.',
      [],
      state.backendsWanted,
    ),
    workersWanted: gauge(
      'workers_wanted',
      'Workers that these backends need, within the bounds of the launcher. Of the leader alone.',
      [],
      state.workersWanted,
    ),
    workers: gauge('workers', 'Workers that live, as each router knows from their heartbeats.', [], state.workers),
    launches: counter(
      'launcher_events_total',
      'Workers started here that stopped or crashed; scalings up, down, and failed.',
      ['what'],
    ),
    logins: counter('logins_total', 'Logins: placed, present (was placed already), finished, or the failure code.', [
      'result',
    ]),
    moves: counter(
      'session_moves_total',
      'Sessions moved to another backend: moved, finished (begun by a former leader), gone (not there any more), failed.',
      ['result'],
    ),
    registrations: counter(
      'registrations_total',
      'Registrations: created, replaced, removed, automatic, or the failure code.',
      ['result'],
    ),
    failures: counter('router_request_failures_total', 'Requests that failed, by failure code.', ['method', 'code']),
    seconds: histogram('router_request_seconds', 'Time to answer a request.', ['method']),
    recounts: counter('router_recounts_total', 'Placements counted anew because the last leader died in mid-change.'),
    fenced: counter('router_fenced_total', 'Writes given up because another router leads or wrote first.', ['what']),
    waitingLogins: gauge(
      'router_logins_waiting',
      'Logins that wait for their turn over all workers, as the leader knows; others say 0.',
      [],
      state.waitingLogins,
    ),
    loginRate: gauge(
      'router_login_rate',
      'Logins per second that the most throttled host is asked for; logins.rate when none throttles. Of the leader; others say 0.',
      [],
      state.loginRate,
    ),
    loginTurns: counter(
      'router_login_turns_total',
      'Turns to log in: granted; and refused wishes: too-many-hosts, too-many-wishes, bad-host.',
      ['result'],
    ),
    loginThrottled: counter('router_login_throttled_total', 'Reports that a host throttles logins.'),
    savedSessions: counter('router_saved_sessions_total', 'Copies of sessions that workers handed over: live, over.', [
      'result',
    ]),
    restoredSessions: counter(
      'router_restored_sessions_total',
      'Sessions of the database when the bus has lost its tables: restored, over, failed (tried again), refused.',
      ['result'],
    ),
    databasePings: counter('router_database_pings_total', 'Probes of the database.', ['result']),
  })
}
