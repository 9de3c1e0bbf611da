import { defineNetwork } from '@spectrum/network'
import { ChannelTables } from './channel-table.ts'
import { ircConfig } from './config.ts'
import { manifestOf } from './features.ts'
import { Names, parseUsername } from './ids.ts'
import { Flusher } from './outbox.ts'
import { IrcSession } from './session.ts'
import type { Shared } from './shared.ts'
import { TargetRing } from './target-ring.ts'
import { parseTargets } from './targets.ts'
import { Ticker } from './ticker.ts'

/** Internet Relay Chat (RFC 1459, RFC 2812, IRCv3). */
export const irc = defineNetwork({
  id: 'irc',
  name: 'IRC',
  identityType: 'irc',
  config: ircConfig,
  create(config, context) {
    const targets = parseTargets(config.server)
    const names = new Names(targets.length === 0)
    const tables = new ChannelTables()
    const ticker = new Ticker()
    const shared: Shared = {
      config,
      names,
      targets: new TargetRing(targets),
      tables,
      flusher: new Flusher(),
      ticker,
      count: reason => context.count?.(reason),
    }
    ticker.always(() => tables.merge())
    return {
      manifest: () => Promise.resolve(manifestOf(names.hasServers)),
      parseUser: name => names.parseUser(name),
      parseRoom: name => names.parseRoom(name),
      parseUsername,
      open: (login, host) => new IrcSession(shared, login, host),
    }
  },
})
