import type { ChannelTables } from './channel-table.ts'
import type { IrcConfig } from './config.ts'
import type { Names } from './ids.ts'
import type { Flusher } from './outbox.ts'
import type { TargetRing } from './target-ring.ts'
import type { Ticker } from './ticker.ts'

/** What all sessions of a worker process share. */
export interface Shared {
  readonly config: IrcConfig
  readonly names: Names
  readonly targets: TargetRing
  readonly tables: ChannelTables
  readonly flusher: Flusher
  readonly ticker: Ticker
  readonly count: (reason: string) => void
}
