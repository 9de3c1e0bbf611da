import type { Bus, Ownership } from '@spectrum/bus'
import type { Logger } from '@spectrum/network'
import type { Component, Element, LifeProbe } from '@spectrum/xmpp'
import type { EventFeed } from './event-feed.ts'
import type { PeerListener, Peers } from './peers.ts'

/** Who speaks to the XMPP server, and to whom events are told by which frontend. */
export interface Link
  extends Pick<PeerListener, 'onTakeOver' | 'onJoining' | 'onLeaving' | 'onLeft' | 'onRoom' | 'onReaching'> {
  /** The component while this process has one. */
  readonly component: Component | undefined
  readonly feed: EventFeed | undefined
  /** The frontend that goes on after this one, once it is known. */
  readonly successor: string | undefined
  start(): Promise<void>
  /** Hands over: what was written is confirmed, and what was read is durable before others read on. */
  stop(): Promise<void>
  /** The component has a stream. */
  onStreamOpened(): void
  /** The component's stream is gone, and connects again. */
  onStreamLost(): void
  /** True for a stanza that the link sent to itself. */
  takes(stanza: Element): boolean
  /** Reads no more from the XMPP server, or goes on. */
  pause(isPaused: boolean): void
  /** False while another process may have the component, as after a standstill of this one. */
  readonly mayTake: boolean
  /** Who tells the user's events, where it is known and somebody else. */
  tellerOf(user: string): string | undefined
}

/** How the first stream of a component came to be; every later one follows a stream that was lost. */
export type Origin =
  /** Nobody was there before. */
  | 'fresh'
  /** Whoever was there before handed over: nothing was missed. */
  | 'handed-over'
  /** Whoever was there before died. */
  | 'after-death'

export interface LinkOptions {
  readonly bus: Bus
  readonly instance: string
  readonly partitions: number
  /** The component's JID. */
  readonly domain: string
  readonly peers: Peers
  readonly log: Logger
  /**
   * Makes a component and the feed that writes to it. Not started.
   *
   * @param beforeHandshake - awaited by each stream before it asks for the domain
   */
  open(
    origin: () => Origin,
    beforeHandshake?: () => Promise<void>,
  ): { readonly component: Component; readonly feed: EventFeed }
  /** Makes a connection that only reads, for the component of {@link open}. Not started. */
  openSubstitute(beforeHandshake: () => Promise<void>): Component
  /** Asks whether the XMPP server lives, without logging in. */
  probe(): LifeProbe
  /** So many of those are held now. */
  onSubstitutes(count: number): void
  /** So many of the last probes of these connections did not come back. */
  onLostProbes(count: number): void
  onActive(isActive: boolean): void
  /** The component is another process's, though this one did not let go of it. Answers go out by {@link Link.successor}. */
  onLost(): void
  onPartitions(count: number): void
  /**
   * Waits until all commands that were read are durable. What cannot be is answered with an error.
   *
   * @param isLast - nothing is read any more. Before that, what still comes is published as ever, if the bus takes anything
   */
  settleCommands(isLast: boolean): Promise<void>
}

/** Gives owned resources back; what fails is left to the others' knowledge of this process's death. */
export async function releaseAll(owned: readonly Ownership[], log: Logger): Promise<void> {
  for (const result of await Promise.allSettled(owned.map(ownership => ownership.release()))) {
    if (result.status === 'rejected') log.warn({ err: result.reason }, 'an ownership was not released')
  }
}
