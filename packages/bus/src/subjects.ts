import { createHash } from 'node:crypto'
import type { ServiceName } from './options.ts'

// The only place where a subject, a stream, a bucket or a key is spelled. Tokens that come from outside (JIDs, process
// names) are base64url, so that none of them can hold a dot, a wildcard or a space.

/** Lanes that share one stream: more make its leader the bottleneck, fewer make needless Raft groups. */
export const lanesPerStream = 500

/** An ordered, durable queue with one owner at a time. Made only by {@link commandLane} and {@link eventLane}. */
export interface Lane {
  /** Without the publishing service, which is the last token of what is published. */
  readonly subject: string
  readonly stream: string
  /** What the stream captures. */
  readonly streamSubjects: string
  /** Names the lane in cursors, message ids and logs. */
  readonly key: string
}

/** Where a notification goes to. Made only by the functions of this file. */
export interface Topic {
  readonly subject: string
}

/** The buckets that services share. `cursors`, `owners` and `heartbeats` are the bus's own. */
export const tableNames = [
  'placements',
  'backends',
  'occupancy',
  'manifests',
  'snapshots',
  'keys',
  'cursors',
  'owners',
  'heartbeats',
] as const
export type TableName = (typeof tableNames)[number]

/** Any text as one token of a subject or key. */
export function encodeToken(text: string): string {
  if (text === '') throw new RangeError('an empty text cannot be a token of a subject')
  return Buffer.from(text, 'utf8').toString('base64url')
}

export const decodeToken = (token: string): string => Buffer.from(token, 'base64url').toString('utf8')

/** The name of an instance in subjects and keys: base64url of the gateway's JID, in lower case. */
export const instanceKey = (jid: string): string => encodeToken(jid.toLowerCase())

/** Commands to one backend. */
export function commandLane(instance: string, backend: number): Lane {
  const group = Math.floor(backend / lanesPerStream)
  return {
    subject: `commands.${instance}.${group}.${backend}`,
    stream: commandStream(instance, group),
    streamSubjects: `commands.${instance}.${group}.>`,
    key: `commands.${instance}.${backend}`,
  }
}

/** Events of the users of one partition. */
export function eventLane(instance: string, partition: number): Lane {
  return {
    subject: `events.${instance}.${partition}`,
    stream: eventStream(instance),
    streamSubjects: `events.${instance}.>`,
    key: `events.${instance}.${partition}`,
  }
}

export const commandStream = (instance: string, group: number): string => `COMMANDS_${streamToken(instance)}_${group}`
export const eventStream = (instance: string): string => `EVENTS_${streamToken(instance)}`

/** Where batches go that do not decode, and items whose handler fails. */
export const deadStream = (instance: string): string => `DEAD_${streamToken(instance)}`
export const deadSubject = (instance: string): string => `dead.${instance}`

// A stream's name has at most 255 characters, a JID's base64 may have more.
function streamToken(instance: string): string {
  return instance.length <= 128 ? instance : createHash('sha256').update(instance).digest('base64url')
}

/** What a service publishes to a lane: the last token tells who, and permissions hold each service to its own. */
export const publishSubject = (lane: Lane, service: ServiceName): string => `${lane.subject}.${service}`
/** What the lane's owner reads and purges. */
export const laneFilter = (lane: Lane): string => `${lane.subject}.*`

/** The event partition of a user: a stable hash (32-bit FNV-1a, finalised) of the bare JID. */
export function partitionOf(user: string, partitions: number): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(user, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) % partitions
}

// ---- keys of the tables

export const placementKey = (instance: string, user: string): string => `${instance}.${encodeToken(user)}`
export const backendKey = (instance: string, backend: number): string => `${instance}.${backend}`
export const manifestKey = (instance: string): string => instance
/** Of the instance's public key in `keys`. */
export const publicKeyKey = (instance: string): string => instance
/** In `keys`: the live sessions of the database are placed. Missing when the bus has lost its tables. */
export const restoredKey = (instance: string): string => `${instance}.restored`
export const snapshotKey = (instance: string, backend: number, user: string): string =>
  `${instance}.${backend}.${encodeToken(user)}`
/** The prefix of all keys of an instance, for listing and watching. */
export const instancePrefix = (instance: string): string => `${instance}.`
/** The prefix of all snapshots of one backend. */
export const snapshotPrefix = (instance: string, backend: number): string => `${instance}.${backend}.`
/** The user of a placement's or snapshot's key. */
export const userOfKey = (key: string): string => decodeToken(key.slice(key.lastIndexOf('.') + 1))
/** The number in a backend's key, or in the resource of a backend or a partition. */
export const numberOfKey = (key: string): number => Number(key.slice(key.lastIndexOf('.') + 1))
/** In `cursors`: which lines of the canary are under way. */
export const canaryKey = (instance: string): string => `canary.${instance}`
export const heartbeatKey = (service: ServiceName, process: string): string => `${service}.${encodeToken(process)}`

// ---- resources that have an owner

export const backendResource = (instance: string, backend: number): string => `backend.${instance}.${backend}`
export const partitionResource = (instance: string, partition: number): string => `partition.${instance}.${partition}`
export const componentResource = (instance: string): string => `component.${instance}`
/** Owned by the leading router; also the target under which it serves. */
export const leaderResource = (instance: string): string => `leader.${instance}`
/** Whose resources of each kind are: permissions and the bus go by it. */
export const resourceKinds: Record<ServiceName, readonly string[]> = {
  frontend: ['component', 'partition', 'stream'],
  router: ['leader', 'archive'],
  worker: ['backend'],
}

// ---- buckets

export const bucketStream = (table: TableName): string => `KV_${table}`
export const bucketSubject = (table: TableName, key: string): string => `$KV.${table}.${key}`
/** The key of a message of the bucket. */
export const keyOfSubject = (table: TableName, subject: string): string => subject.slice(`$KV.${table}.`.length)

// ---- requests: requests.<instance>.<callee>.<method>.<target>.<caller>

const noTarget = '_'
export function requestSubject(
  instance: string,
  callee: string,
  method: string,
  target: string | undefined,
  caller: ServiceName | '*',
): string {
  const to = target === '*' ? '*' : target ? encodeToken(target) : noTarget
  return `requests.${instance}.${callee.toLowerCase()}.${method}.${to}.${caller}`
}
/** The service that asked, as the server's permissions vouch for. */
export const callerOf = (subject: string): string => subject.slice(subject.lastIndexOf('.') + 1)

// ---- notifications

/** To everybody in the instance who listens for this word. */
export const instanceTopic = (instance: string, word: string): Topic => ({
  subject: `notify.${instance}.all.${encodeToken(word)}`,
})
/** To one process. */
export const processTopic = (instance: string, process: string, word: string): Topic => ({
  subject: `notify.${instance}.one.${encodeToken(process)}.${encodeToken(word)}`,
})
/** A worker says that it passed a command on to where its user sits by now: `<generation> <key> <user>`. */
export const forwardedTopic = (instance: string): Topic => instanceTopic(instance, 'forwarded')

/** Deaths that a launcher saw; `reporter` is the service that says so. */
export const deathTopic = (reporter: ServiceName | '*'): Topic => ({ subject: `deaths.${reporter}` })

// ---- inboxes and the JetStream API

/** Replies to a service arrive below it; no other service may subscribe to it. */
export const inboxPrefix = (service: ServiceName): string => `_INBOX_${service}`

export const jetStreamApi = {
  streamInfo: (stream: string) => `$JS.API.STREAM.INFO.${stream}`,
  streamCreate: (stream: string) => `$JS.API.STREAM.CREATE.${stream}`,
  purge: (stream: string) => `$JS.API.STREAM.PURGE.${stream}`,
  getMessage: (stream: string) => `$JS.API.STREAM.MSG.GET.${stream}`,
  /** The last message of a subject, from any replica; the subject is part of the request's, so that permissions see it. */
  getDirect: (stream: string, subject: string) => `$JS.API.DIRECT.GET.${stream}.${subject}`,
  /** The filter is part of the subject, so that permissions see it; the server checks that the request agrees. */
  consumerCreate: (stream: string, consumer: string, filter: string) =>
    `$JS.API.CONSUMER.CREATE.${stream}.${consumer}.${filter}`,
  consumerDelete: (stream: string, consumer: string) => `$JS.API.CONSUMER.DELETE.${stream}.${consumer}`,
} as const
