export { type FailureCode, failures, isFailureCode, NetworkError } from './failures.ts'
export {
  type ChatFeatures,
  type Format,
  type Manifest,
  manifestOf,
  type SessionFeatures,
  type UserCommand,
} from './features.ts'
export type { Form, FormField, FormValues } from './forms.ts'
export type { Chat, LoginId, MessageId, RoomId, UserId } from './ids.ts'
export type { Account, LoginFlow, LoginPrompt } from './login.ts'
export type {
  Attachment,
  ChatState,
  Contact,
  NetworkEvent,
  OutgoingFile,
  OutgoingMessage,
  Page,
  Presence,
  ReceivedMessage,
  RoomLeft,
  Sender,
  SentMessage,
  Show,
  VCard,
} from './messages.ts'
export {
  type Clock,
  type Connector,
  type ConnectorContext,
  type ConnectTarget,
  defineNetwork,
  type Host,
  type Logger,
  type Login,
  type Network,
  type NetworkManifest,
  type NetworkSocket,
  type Session,
} from './network.ts'
export type {
  Affiliation,
  JoinRequest,
  Occupant,
  OccupantChange,
  Role,
  RoomFacts,
  RoomListing,
  Rooms,
} from './rooms.ts'
