import { type Bus, backendResource, instancePrefix, leaderResource, numberOfKey, protoValue } from '@spectrum/bus'
import type { Config } from '@spectrum/config'
import {
  Backend,
  type BackendStatus,
  type ListUsersReply,
  type ListUsersRequest,
  Occupancy,
  type User,
} from '@spectrum/messages'
import { NetworkError } from '@spectrum/network'
import type { Store } from '@spectrum/store'
import type { StartSessions } from '../placement/start-sessions.ts'
import type { AdminMethods } from './admin-server.ts'

export interface AdminMethodsOptions {
  readonly bus: Bus
  readonly instance: string
  readonly config: Config
  readonly version: string
  readonly store: Store
  readonly sessions: StartSessions
}

const maxPage = 100
/** Accounts looked at for one page of those online; then the page is short, with a token to go on from. */
const maxLooked = 1_000

/** What administrators may ask; any router answers. */
export function adminMethods(options: AdminMethodsOptions): AdminMethods {
  const { bus, instance, config, version, store } = options
  const started = performance.now()
  return {
    async getStatus() {
      const [registeredUsers, occupancy, backends, leader] = await Promise.all([
        store.accounts.count(),
        readOccupancy(bus, instance),
        readBackends(bus, instance),
        bus.owners.ownerOf(leaderResource(instance)),
      ])
      return {
        jid: config.service.jid,
        network: config.network.id,
        version,
        uptimeSeconds: Math.floor((performance.now() - started) / 1000),
        registeredUsers,
        onlineUsers: [...occupancy.values()].reduce((sum, users) => sum + users, 0),
        backends: backends.length,
        leader: leader?.process ?? '',
      }
    },
    listUsers: request => listUsers(request, options),
    async listBackends() {
      const [occupancy, backends] = await Promise.all([readOccupancy(bus, instance), readBackends(bus, instance)])
      return { backends: await Promise.all(backends.map(backend => statusOf(backend, occupancy, options))) }
    },
  }
}

async function listUsers(request: ListUsersRequest, options: AdminMethodsOptions): Promise<ListUsersReply> {
  const { store, sessions } = options
  const wanted = Math.min(request.pageSize || maxPage, maxPage)
  const users: User[] = []
  let after = request.pageToken === '' ? undefined : fromPageToken(request.pageToken)
  for (let looked = 0; looked < maxLooked; ) {
    const accounts = await store.accounts.page(wanted, after)
    const placements = await Promise.all(accounts.map(({ user }) => sessions.placementOf(user)))
    for (const [index, { user, username }] of accounts.entries()) {
      after = user
      const placement = placements[index]?.value
      if (!placement && request.onlyOnline) continue
      users.push({
        jid: user,
        username,
        isOnline: placement !== undefined,
        ...(placement && { backend: placement.backend }),
      })
      if (users.length === wanted) return { users, nextPageToken: toPageToken(user) }
    }
    looked += accounts.length
    if (accounts.length < wanted) return { users, nextPageToken: '' }
  }
  return { users, nextPageToken: after === undefined ? '' : toPageToken(after) }
}

async function statusOf(
  { number, capacity }: Backend,
  occupancy: ReadonlyMap<number, number>,
  { bus, instance }: AdminMethodsOptions,
): Promise<BackendStatus> {
  const owner = await bus.owners.ownerOf(backendResource(instance, number))
  const isRun = owner !== undefined && !bus.owners.isDead(owner.process)
  return {
    number,
    users: occupancy.get(number) ?? 0,
    capacity,
    worker: isRun ? owner.process : '',
    epoch: owner?.epoch ?? 0,
  }
}

async function readOccupancy(bus: Bus, instance: string): Promise<Map<number, number>> {
  const users = new Map<number, number>()
  const records = bus.table('occupancy', protoValue(Occupancy)).list(instancePrefix(instance))
  for await (const { key, value } of records) users.set(numberOfKey(key), value.users)
  return users
}

async function readBackends(bus: Bus, instance: string): Promise<Backend[]> {
  const backends: Backend[] = []
  for await (const { value } of bus.table('backends', protoValue(Backend)).list(instancePrefix(instance)))
    backends.push(value)
  return backends.sort((one, other) => one.number - other.number)
}

const toPageToken = (user: string) => Buffer.from(user).toString('base64url')

function fromPageToken(token: string): string {
  const user = Buffer.from(token, 'base64url').toString()
  if (toPageToken(user) !== token) throw new NetworkError('bad-request', 'This page token is not one of ours.')
  return user
}
