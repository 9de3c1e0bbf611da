export { findAnope, startAnope } from './anope.ts'
export { isAlive } from './cache.ts'
export { Child, type ChildOptions, ServerError } from './child.ts'
export { type EjabberdOptions, EjabberdServer, findEjabberd, startEjabberd } from './ejabberd.ts'
export { isContinuousIntegration, isRoot, repositoryRoot, type Topology, topologies } from './environment.ts'
export { ErgoUnavailableError, findErgo, startErgo } from './ergo.ts'
export {
  BadConfigurationError,
  type BusServer,
  Gateway,
  type GatewayOptions,
  type GatewaySecrets,
  ServiceProcess,
  startBusCluster,
  startBusServer,
  startGateway,
  sumOf,
} from './gateway.ts'
export { findInspircd, startInspircd } from './inspircd.ts'
export { IrcClient, type IrcClientOptions } from './irc-client.ts'
export { IrcServer, type IrcServerOptions } from './irc-server.ts'
export { NatsCluster, type NatsOptions, type NatsPlace, NatsServer, startNats, startNatsCluster } from './nats.ts'
export { findNgircd, startNgircd } from './ngircd.ts'
export { freePort, isFree, isListening } from './ports.ts'
export { PostgresServer, startPostgres } from './postgres.ts'
export { expand, findProgram, MissingProgramError, type Program, type ProgramSpec } from './programs.ts'
export { type ProsodyOptions, ProsodyServer, startProsody } from './prosody.ts'
export { Person, type ScenarioOptions, type Scene, scenario } from './scenario.ts'
export { Server } from './server.ts'
export { Stack, type StackOptions, startStack } from './stack.ts'
export { TemporaryFolder } from './temporary.ts'
export { DeadlineError, waitUntil } from './wait-until.ts'
export { matches, type Pattern, xml } from './xml.ts'
export { XmppClient, XmppClientError, type XmppClientOptions } from './xmpp-client.ts'
