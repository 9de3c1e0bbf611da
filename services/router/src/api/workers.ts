import { type Bus, backendResource, type CallContext, type Handlers } from '@spectrum/bus'
import { type Placement, Placement_State, type RouterDefinition } from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import type { KeyPair, Store } from '@spectrum/store'
import type { LeaderCalls } from '../placement/leader-calls.ts'
import type { StartSessions } from '../placement/start-sessions.ts'
import { changeSecret, handOut, sealedFor } from '../registration/secrets.ts'

export interface WorkersApiOptions {
  readonly bus: Bus
  readonly instance: string
  readonly store: Store
  readonly keys: KeyPair
  readonly sessions: StartSessions
  readonly leader: LeaderCalls
}

interface Claim {
  readonly user: string
  readonly backend: number
  readonly epoch: number
}

/** What only workers may ask, and of its users only the worker that owns their backend now. */
export function workersApi(options: WorkersApiOptions): Handlers<RouterDefinition> {
  const { bus, store, keys, leader } = options
  return {
    async fetchCredentials(request, context) {
      const { user, process, publicKey } = request
      assertIsItself(process, context)
      const placement = await assertRuns(options, request, context)
      if (placeOn(placement, request.backend)?.generation !== request.generation) throw gone()
      const opened = await store.accounts.open(user)
      if (!opened) throw new NetworkError('not-registered', 'The account was removed.')
      const [settings, contacts] = await Promise.all([store.settings.all(user), store.contacts.list(user)])
      return handOut(opened, settings, contacts, publicKey)
    },

    async fetchInstanceKey({ process, publicKey }, context) {
      assertIsItself(process, context)
      assertIsAlive(bus, process)
      return sealedFor(publicKey, Uint8Array.from(keys.privateKey))
    },

    async saveCredentials(request, context) {
      await assertRuns(options, request, context)
      if (!request.account) throw new NetworkError('bad-request', 'There is nothing to store.')
      const opened = await store.accounts.open(request.user)
      if (!opened) throw new NetworkError('not-registered', 'The account was removed.')
      const secret = changeSecret(opened.secret, keys.privateKey, request.account)
      opened.secret.fill(0)
      const isSaved = await store.accounts.saveSecret(request.user, secret)
      secret.fill(0)
      if (!isSaved) throw new NetworkError('not-registered', 'The account was removed.')
      return {}
    },

    async saveContacts(request, context) {
      await assertRuns(options, request, context)
      const isSaved = await store.contacts.save(request.user, request.contacts, request.removed)
      if (!isSaved) throw new NetworkError('not-registered', 'The account was removed.')
      return {}
    },

    async reportIdle(request, context) {
      await assertOwns(options, request, context)
      await leader.reportIdle(request)
      return {}
    },
  }
}

function assertIsItself(process: string, { from, service }: CallContext): void {
  if (service === 'worker' && process === from) return
  throw new NetworkError('not-allowed', 'Only a worker may ask this, and only for itself.')
}

function assertIsAlive(bus: Bus, process: string): void {
  if (bus.owners.processes('worker').some(worker => worker.process === process)) return
  throw new NetworkError('not-allowed', 'No worker of this name is alive.')
}

/** That the asking worker owns the backend at the epoch. */
async function assertOwns(
  { bus, instance }: WorkersApiOptions,
  claim: Omit<Claim, 'user'>,
  { from, service }: CallContext,
): Promise<void> {
  const owner = await bus.owners.ownerOf(backendResource(instance, claim.backend))
  if (service === 'worker' && owner?.process === from && owner.epoch === claim.epoch && !bus.owners.isDead(from)) return
  throw new NetworkError('not-allowed', 'Only the worker that runs the backend may ask this.')
}

/** That the asking worker owns the backend at the epoch, and that the user is placed there. */
async function assertRuns(options: WorkersApiOptions, claim: Claim, context: CallContext): Promise<Placement> {
  await assertOwns(options, claim, context)
  const entry = await options.sessions.placementOf(claim.user)
  if (!entry || !placeOn(entry.value, claim.backend)) throw gone()
  return entry.value
}

/** What the placement says of the backend: also of the one that a session leaves, until that is told to hand it over. */
function placeOn(placement: Placement, backend: number): { generation: number } | undefined {
  if (placement.backend === backend) return placement
  const { movedFrom, state } = placement
  return movedFrom?.backend === backend && state !== Placement_State.STATE_STARTED ? movedFrom : undefined
}

const gone = () => new NetworkError('gone', 'The user is not placed here, or not any more.')
