import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { commandLane, connectBus, instanceKey } from '@spectrum/bus'
import { Command, commandCodec, RouterDefinition, Show } from '@spectrum/messages'
import { type Gateway, startBusServer, startGateway, TemporaryFolder, waitUntil } from '@spectrum/stack'

/** How many users come back, and how fast they may. */
export interface ComeBackOptions {
  readonly users: number
  readonly rate: number
  readonly burst: number
  readonly workers: number
  readonly say?: (text: string) => void
}

/** One user who was let in again. */
export interface Return {
  /** Milliseconds since the epoch. */
  readonly atMs: number
  /** Of three groups of users: 2 was active last. */
  readonly group: number
}

export interface ComeBack {
  /** In the order in which they came. */
  readonly returns: readonly Return[]
  /** From the start of the new workers until the last user was back; seconds. */
  readonly seconds: number
  /** When the last backend was taken over; milliseconds since the epoch. */
  readonly settledMs: number
}

const jid = 'parrot.localhost'
const groups = 3
const quiet = { debug() {}, info() {}, warn() {}, error() {} }

/** Signs users of the pretend network in, kills every worker and router, and watches them come back, with real processes. */
export async function comeBack(options: ComeBackOptions): Promise<ComeBack> {
  const { users, rate, burst, workers, say = () => undefined } = options
  await using parts = new AsyncDisposableStack()
  const folder = parts.use(await TemporaryFolder.create('come-back'))
  const bus = await startBusServer(jid)
  parts.use(bus.nats)
  const cfg = [
    '[service]',
    `jid = ${jid}`,
    'backend = parrot',
    '[registration]',
    'auto_register = 1',
    '[database]',
    'type = sqlite3',
    `database = ${join(folder.path, 'database.sql')}`,
    '[worker]',
    `backends_per_worker = ${Math.ceil(users / 100 / workers) + 1}`,
    '',
  ].join('\n')
  const online = new Map<string, number>()
  let settledMs = 0
  const onLine = (_: unknown, line: string) => {
    if (!line.startsWith('{')) return
    const { msg, user, time } = JSON.parse(line) as { msg?: string; user?: string; time?: string }
    if (msg === 'online' && user !== undefined) online.set(user, Date.parse(time ?? ''))
    if (msg === 'a backend runs here') settledMs = Date.parse(time ?? '')
  }
  const start = async (flags: readonly string[]): Promise<Gateway> =>
    parts.use(
      await startGateway({
        cfg,
        bus,
        flags,
        processes: { frontend: 0, router: 1, worker: workers },
        secrets: { masterKey: null },
        isSupervised: false,
        onLine,
      }),
    )

  const before = await start(['--logins.rate=5000', '--logins.burst=10000'])
  const names = Array.from({ length: users }, (_, index) => `user${index}@example.org`)
  const groupOf = (index: number) => Math.floor((index * groups) / users)
  await using frontend = await connectBus({
    servers: [bus.nats.url],
    service: 'frontend',
    instance: instanceKey(jid),
    nkeySeed: bus.seeds.frontend,
    log: quiet,
  })
  const router = frontend.client(RouterDefinition)
  const signIn = async (index: number) => {
    const user = names[index] as string
    const login = () => router.login({ user, nickHint: '' }, { timeoutMs: 10_000 }).catch(() => undefined)
    const { backend, generation } = await waitUntil(login, { deadlineMs: 120_000 })
    const presence = { show: Show.SHOW_UNSPECIFIED, status: '', priority: 0 }
    const lane = frontend.publisher(commandLane(instanceKey(jid), backend), commandCodec)
    const command = { $case: 'setPresence', value: presence } as const
    lane.publish(Command.fromPartial({ key: `p${index}`, user, resource: 'home', generation, command }))
  }
  for (let group = 0; group < groups; group++) {
    const indexes = [...names.keys()].filter(index => groupOf(index) === group).values()
    await Promise.all(Array.from({ length: 64 }, () => eachOf(indexes, signIn)))
    const so = names.filter((_, index) => groupOf(index) <= group).length
    await waitUntil(() => online.size >= so, { deadlineMs: 300_000, describe: () => `${online.size} of ${so} are in` })
    say(`${online.size} users are in`)
    // Who comes later was active later, by a second at least.
    await delay(1_100)
  }
  await Promise.all(before.processes.map(process => process.hold()))
  online.clear()
  const startedMs = Date.now()
  say(`${workers} workers were killed; all may come back at ${rate} a second`)
  await start([`--logins.rate=${rate}`, `--logins.burst=${burst}`])
  const deadlineMs = (users / rate) * 5_000 + 60_000
  await waitUntil(() => online.size >= users, { deadlineMs, describe: () => `${online.size} of ${users} are back` })
  const index = new Map(names.map((name, position) => [name, position]))
  const returns = [...online]
    .map(([user, atMs]) => ({ atMs, group: groupOf(index.get(user) ?? 0) }))
    .toSorted((a, b) => a.atMs - b.atMs)
  return { returns, seconds: ((returns.at(-1)?.atMs ?? startedMs) - startedMs) / 1_000, settledMs }
}

/** How many more than allowed came in the worst of all windows; 0 or less: never more. */
export function excess(returns: readonly Return[], rate: number, burst: number): number {
  let worst = Number.NEGATIVE_INFINITY
  // The worst window that ends here begins where `allowed so far less come so far` was largest.
  let best = Number.NEGATIVE_INFINITY
  for (const [count, { atMs }] of returns.entries()) {
    const allowed = (rate * atMs) / 1_000
    best = Math.max(best, allowed - count)
    worst = Math.max(worst, count + 1 - allowed + best - burst)
  }
  return worst
}

async function eachOf(indexes: Iterable<number>, action: (index: number) => Promise<void>): Promise<void> {
  for (const index of indexes) await action(index)
}
