import type { ServiceName } from './options.ts'
import {
  bucketStream,
  bucketSubject,
  canaryKey,
  commandStream,
  deathTopic,
  eventStream,
  inboxPrefix,
  jetStreamApi,
  requestSubject,
  resourceKinds,
  type TableName,
  tableNames,
} from './subjects.ts'

/** What one service's NATS user may do; everything else is refused by the server. */
export interface Permissions {
  readonly publish: { readonly allow: readonly string[]; readonly deny: readonly string[] }
  readonly subscribe: { readonly allow: readonly string[] }
  /** May answer, once, whoever asked it. */
  readonly answersRequests: boolean
}

/** Streams of 500 command lanes for which permissions are written when instances are named: 20,000 backends. */
const commandStreamsPerInstance = 40

/** Calls of the router that tell or change what a frontend has no business with. */
const deniedToFrontends = [
  'FetchCredentials',
  'FetchInstanceKey',
  'SaveCredentials',
  'SaveContacts',
  'Release',
  'RemovePlacement',
  'TakeLoginTurns',
  'ReportThrottling',
  'SaveSessions',
  'ReportIdle',
]

/** The tables that a service may read. Cursors tell publishers how far a lane is finished. */
export const readableTables: Record<ServiceName, readonly TableName[]> = {
  frontend: ['placements', 'backends', 'manifests', 'keys', 'cursors', 'owners', 'heartbeats'],
  router: ['placements', 'backends', 'occupancy', 'manifests', 'snapshots', 'keys', 'cursors', 'owners', 'heartbeats'],
  worker: ['placements', 'backends', 'manifests', 'snapshots', 'keys', 'cursors', 'owners', 'heartbeats'],
}

const writes: Record<ServiceName, readonly (readonly [TableName, string])[]> = {
  frontend: [
    ['cursors', 'events.>'],
    ['cursors', canaryKey('*')],
  ],
  router: [
    ['placements', '>'],
    ['backends', '>'],
    ['occupancy', '>'],
    ['keys', '>'],
  ],
  worker: [
    ['manifests', '>'],
    ['snapshots', '>'],
    ['cursors', 'commands.>'],
  ],
}

/**
 * The permissions of a service.
 *
 * What they cannot prevent: whoever may create a consumer chooses its deliver subject, to which the server itself then
 * publishes what the consumer's stream holds (NATS 2.9 has no permission for it).
 *
 * @param instances - keys of the instances that the services run. Without them a frontend may purge command streams
 * and a worker event streams, because the server's wildcards cannot tell streams of different kinds apart.
 */
export function permissionsOf(service: ServiceName, instances?: readonly string[]): Permissions {
  const scopes = instances ?? ['*']
  return {
    publish: {
      allow: [
        ...scopes.flatMap(scope => lanePublishing(service, scope)),
        ...scopes.flatMap(scope => laneReading(service, scope, instances !== undefined)),
        ...scopes.flatMap(scope => streamLookups(scope, instances !== undefined)),
        ...scopes.map(scope => requestSubject(scope, 'router', '*', '*', service)),
        ...readableTables[service].flatMap(bucketReading),
        ...writes[service].map(([table, keys]) => bucketSubject(table, keys)),
        ...resourceKinds[service].map(kind => bucketSubject('owners', `${kind}.>`)),
        bucketSubject('heartbeats', `${service}.>`),
        'notify.>',
        deathTopic(service).subject,
        '$JS.FC.>',
        // Only the router makes streams: who may make one chooses what it captures.
        ...(service === 'router' ? [jetStreamApi.streamCreate('*'), jetStreamApi.streamInfo('*')] : []),
      ],
      deny: [
        ...(service === 'frontend' ? deniedToFrontends.map(method => `requests.*.router.${method}.>`) : []),
        ...(instances ? [] : tableNames.map(table => jetStreamApi.purge(bucketStream(table)))),
      ],
    },
    subscribe: {
      allow: [
        `${inboxPrefix(service)}.>`,
        'notify.>',
        deathTopic('*').subject,
        ...(service === 'router' ? scopes.map(scope => `requests.${scope}.router.>`) : []),
      ],
    },
    answersRequests: service === 'router',
  }
}

function lanePublishing(service: ServiceName, scope: string): string[] {
  return [
    // A worker's are forwards: the last token tells the next owner who published.
    `commands.${scope}.*.*.${service}`,
    ...(service === 'frontend' ? [] : [`events.${scope}.*.${service}`]),
    ...(service === 'router' ? [] : [`dead.${scope}`]),
  ]
}

function laneReading(service: ServiceName, scope: string, isNamed: boolean): string[] {
  if (service === 'router') return []
  const filter = service === 'frontend' ? `events.${scope}.>` : `commands.${scope}.>`
  const streams = !isNamed ? ['*'] : service === 'frontend' ? [eventStream(scope)] : commandStreams(scope)
  return streams.flatMap(stream => [
    jetStreamApi.consumerCreate(stream, '*', filter),
    jetStreamApi.consumerDelete(stream, '*'),
    jetStreamApi.purge(stream),
  ])
}

function streamLookups(scope: string, isNamed: boolean): string[] {
  return (isNamed ? [eventStream(scope), ...commandStreams(scope)] : ['*']).map(jetStreamApi.streamInfo)
}

function bucketReading(table: TableName): string[] {
  const stream = bucketStream(table)
  return [
    jetStreamApi.streamInfo(stream),
    jetStreamApi.getMessage(stream),
    jetStreamApi.getDirect(stream, bucketSubject(table, '>')),
    jetStreamApi.consumerCreate(stream, '*', bucketSubject(table, '>')),
    jetStreamApi.consumerDelete(stream, '*'),
  ]
}

const commandStreams = (instance: string): string[] =>
  Array.from({ length: commandStreamsPerInstance }, (_, group) => commandStream(instance, group))
