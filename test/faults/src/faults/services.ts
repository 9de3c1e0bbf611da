import { setTimeout as delay } from 'node:timers/promises'
import { type ServiceProcess, waitUntil } from '@spectrum/stack'
import type { Limit } from '../judge.ts'
import {
  doubledAtMostLastTold,
  lostAtMostUnpublished,
  nobodyLeft,
  nothingDoubled,
  nothingLost,
  nothingLostToXmpp,
  nothingRefused,
  orderKept,
} from '../limits.ts'
import type { Fault, Scene } from '../run.ts'

/** What it had read, or not yet read, and not stored goes with a frontend; what it had not written is the next one's. */
export const frontendGone: readonly Limit[] = [
  ...[nothingLostToXmpp, lostAtMostUnpublished, ...doubledAtMostLastTold, nobodyLeft, orderKept],
]

/** Ends the frontend that is active, or one of them. */
export async function endActive(
  { system, note, strikes }: Scene,
  signal: NodeJS.Signals = 'SIGKILL',
): Promise<ServiceProcess> {
  const active = await system.most(system.gateway.frontends, 'spectrum_frontend_active')
  note('ended', active.name)
  strikes()
  await active.kill(signal)
  return active
}

export const killFrontend: Fault = {
  name: 'kill active frontend, Prosody',
  topology: {},
  isShort: true,
  async inject(scene) {
    await endActive(scene)
  },
  limits: frontendGone,
}

/**
 * The active frontend does nothing for 30 s, long enough for the other to take the component from it, and then finds out: it
 * writes nothing more, and stands by.
 */
export const freezeFrontend: Fault = {
  name: 'freeze active frontend 30 s',
  topology: {},
  async inject({ system, strikes, note, miss }) {
    const { frontends } = system.gateway
    const active = await system.most(frontends, 'spectrum_frontend_active')
    note('frozen', active.name)
    strikes()
    await active.kill('SIGSTOP')
    try {
      await delay(30_000)
    } finally {
      await active.kill('SIGCONT')
    }
    const isActive = (): Promise<number[]> =>
      Promise.all(frontends.map(frontend => frontend.metric('spectrum_frontend_active').catch(() => -1)))
    let states: number[] = []
    await waitUntil(
      async () => {
        states = await isActive()
        return states.toSorted().join() === '0,1' && (await active.readiness()) === true
      },
      { deadlineMs: 30_000, everyMs: 100 },
    ).catch(() => miss(`30 s after it woke up the frontends are active ${states.join(' and ')}, must be one of them`))
  },
  limits: frontendGone,
}

/** A pause that a person would take for the talk's own. */
const noticeableMs = 5_000

const unnoticed: readonly Limit[] = [
  ...nothingLost,
  nothingDoubled,
  nothingRefused,
  nobodyLeft,
  orderKept,
  ({ outageMax }) =>
    outageMax <= noticeableMs ? undefined : `somebody heard or was heard of nothing for ${outageMax} ms`,
]

/** No router for a while: who is online talks on, who comes new waits. */
export const killRouters: Fault = {
  name: 'kill all routers',
  topology: {},
  isShort: true,
  prepare: ({ load }) => load.acquaint(`n${++newcomers}`),
  async inject(scene) {
    const { routers } = scene.system.gateway
    await Promise.all(routers.map(router => router.hold()))
    const newcomer = login(scene)
    await new Promise(resolve => setTimeout(resolve, 8_000))
    if (newcomer.isDone) scene.miss('somebody logged in while there was no router')
    await Promise.all(routers.map(router => router.resume()))
    await arrived(scene, newcomer)
  },
  limits: unnoticed,
}

/** No database for ten seconds. */
export const killPostgres: Fault = {
  name: 'kill PostgreSQL for 10 s',
  topology: {},
  isShort: true,
  prepare: ({ load }) => load.acquaint(`n${++newcomers}`),
  async inject(scene) {
    const { postgres } = scene.system
    await postgres.kill()
    const newcomer = login(scene)
    await new Promise(resolve => setTimeout(resolve, 10_000))
    await postgres.start()
    await arrived(scene, newcomer)
  },
  limits: unnoticed,
}

interface Login {
  isDone: boolean
  readonly done: Promise<void>
}

let newcomers = 0

/** A user who is known and not there begins to log in, and to join. */
function login({ load }: Scene): Login {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const login: Login = { isDone: false, done: promise }
  load.welcome(`n${newcomers}`).then(() => {
    login.isDone = true
    resolve()
  }, reject)
  // Whether it comes in is asked later.
  promise.catch(() => undefined)
  return login
}

async function arrived({ miss, note }: Scene, { done }: Login): Promise<void> {
  const begun = performance.now()
  const late = new Promise<never>((_, reject) => setTimeout(() => reject(new Error('not within 60 s')), 60_000).unref())
  try {
    await Promise.race([done, late])
    note('login done after', `${((performance.now() - begun) / 1000).toFixed(1)} s`)
  } catch (error) {
    miss(`who logged in meanwhile did not come in afterwards: ${(error as Error).message}`)
  }
}
