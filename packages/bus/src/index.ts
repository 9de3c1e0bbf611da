export { type Bus, connectBus } from './bus.ts'
export type { DeadLetter } from './dead-letters.ts'
export {
  AbandonedError,
  type Delivery,
  ItemTooLargeError,
  type LaneConsumer,
  LaneFullError,
  type LaneHandler,
  type LanePublisher,
} from './lanes.ts'
export type { BusOptions, Count, Limits, ServiceName, Timings } from './options.ts'
export type { Owner, Owners, Ownership, ProcessInfo } from './ownership.ts'
export { type Permissions, permissionsOf } from './permissions.ts'
export type { CallContext, CallOptions, Client, Handlers, ServiceDefinition } from './requests.ts'
export { createSealingKeys, openSealed, type SealedBox, type SealingKeys, sealTo } from './sealing.ts'
export { createNkeys, type NatsServerOptions, natsServerConfig } from './server-config.ts'
export {
  backendKey,
  backendResource,
  canaryKey,
  commandLane,
  componentResource,
  eventLane,
  forwardedTopic,
  instanceKey,
  instancePrefix,
  instanceTopic,
  type Lane,
  leaderResource,
  manifestKey,
  numberOfKey,
  partitionOf,
  partitionResource,
  placementKey,
  processTopic,
  publicKeyKey,
  restoredKey,
  snapshotKey,
  snapshotPrefix,
  type TableName,
  type Topic,
  userOfKey,
} from './subjects.ts'
export { ConflictError, type Entry, jsonValue, protoValue, type Table, type ValueCodec } from './table.ts'
