import type { Account, FormValues, Host, Network } from '@spectrum/network'
import type { Peer } from './peer.ts'
import type { SignedIn } from './signed-in.ts'

/** What a network gives to be tested. Names are as a user would write them; they go through the network's `parse…`. */
export interface ConformanceOptions {
  readonly network: Network
  /** Settings as they would stand in its section; parsed by its schema. Pacing of messages should be off. */
  readonly config: Readonly<Record<string, unknown>>
  readonly account: Account
  /** Another account, for the one on the other side. Not needed where `peer` is given. */
  readonly peerAccount?: Account
  /** An account that the network refuses; absent where it refuses nobody. */
  readonly wrongAccount?: Account
  /** Settings with which the network cannot be reached. */
  readonly unreachableConfig?: Readonly<Record<string, unknown>>
  /** Names of rooms that nobody is in: a new one for each number. Absent: no rooms are tested. */
  readonly room?: (number: number) => string
  /** A room that lets nobody in. */
  readonly closedRoom?: string
  /** A contact that is online, for contact lists and presence. */
  readonly onlineContact?: string
  /** How to run each command that the network declares, by name, and what it answers. */
  readonly commands?: Readonly<Record<string, { readonly values: FormValues; readonly answer: RegExp }>>
  /** A stanza that reaches the other side where stanzas are passed through, and what that side hears. */
  readonly rawXml?: { readonly sent: string; readonly heard: RegExp }
  /** A file that anybody may fetch, where files can be sent. */
  readonly file?: { readonly url: URL; readonly name: string; readonly mimeType: string }
  /** Declared capabilities that tests of the network's own cover, by the names that the suite gives them. */
  readonly testedElsewhere?: readonly string[]
  /** How long the suite waits for what it expects, in milliseconds. Default 15 000. */
  readonly patienceMs?: number
  /** True where an account can be signed in twice and each hears what the other says. */
  readonly hasManyDevices?: boolean
  /** True where names may have spaces. Default false. */
  readonly allowsSpaces?: boolean
  /** True where a private message reaches its recipient only in a room that both are in. Default false. */
  readonly needsSharedRoom?: boolean
  /** How sessions get their sockets. Default: directly. */
  readonly connect?: Host['connect']
  /** Makes the connection break. Default: its sockets are destroyed. */
  readonly breakConnection?: (login: SignedIn) => Promise<void> | void
  /** Somebody on the other side, by other means than the network under test. Default: a second session. */
  readonly peer?: () => Promise<Peer>
}
