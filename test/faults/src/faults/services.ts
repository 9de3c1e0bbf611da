import { lostAtMostUnpublished, nobodyLeft, nothingDoubled, nothingLost, nothingRefused, orderKept } from '../limits.ts'
import type { Fault, Limit, Scene } from '../run.ts'

async function killActive({ system, note, strikes }: Scene): Promise<void> {
  const active = await system.most(system.gateway.frontends, 'spectrum_frontend_active')
  note('killed', active.name)
  strikes()
  await active.kill()
}

export const killFrontend: Fault = {
  name: 'kill active frontend, Prosody',
  topology: {},
  isShort: true,
  inject: killActive,
  limits: [lostAtMostUnpublished, nobodyLeft, orderKept],
}

export const killFrontendEjabberd: Fault = {
  name: 'kill active frontend, ejabberd',
  topology: { xmpp: 'ejabberd' },
  inject: killActive,
  limits: [lostAtMostUnpublished, nobodyLeft, orderKept],
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
