import { join } from 'node:path'
import {
  type Gateway,
  type Pattern,
  type PostgresServer,
  startBusServer,
  startGateway,
  startPostgres,
  TemporaryFolder,
  type Topology,
  xml,
} from '@spectrum/stack'
import { ComponentServer } from './component-server.ts'
import type { Stanza } from './muc.ts'
import { RawIrcServer } from './raw-irc-server.ts'

const jid = 'irc.localhost'
const secret = 'component-secret'

/** A gateway whose XMPP server and IRC server are the test's own, and say and keep everything. */
export interface HostileSystem extends AsyncDisposable {
  readonly jid: string
  readonly xmpp: ComponentServer
  readonly irc: RawIrcServer
  readonly gateway: Gateway
  /** A user of the XMPP server, registered with the gateway under the name and logged in. */
  user(name: string): Promise<HostileUser>
  /** The sum of a metric over all processes of a service. */
  metric(service: 'frontend' | 'worker', name: string, labels?: Record<string, string>): Promise<number>
}

/** Speaks to the gateway as a user, through {@link ComponentServer}. */
export class HostileUser {
  readonly nick: string
  readonly bareJid: string
  readonly jid: string
  readonly #xmpp: ComponentServer
  #ids = 0

  constructor(name: string, xmpp: ComponentServer) {
    this.nick = name
    this.bareJid = `${name}@verona.example`
    this.jid = `${this.bareJid}/tomb`
    this.#xmpp = xmpp
  }

  /** Sends a stanza of this kind. The attributes are written as they are given, not escaped. */
  sends(kind: 'message' | 'presence' | 'iq', attributes: string, children = ''): void {
    this.#xmpp.sends(`<${kind} from="${this.jid}" ${attributes}>${children}</${kind}>`)
  }

  /** Waits for a stanza to this user. */
  receives(pattern: Pattern, options?: { deadlineMs?: number }): Promise<Stanza> {
    const isMine = (stanza: Stanza) => String(stanza.attrs.to).startsWith(this.bareJid)
    const question = typeof pattern === 'function' ? pattern : undefined
    if (question === undefined) return this.#xmpp.receives(pattern, options)
    return this.#xmpp.receives(stanza => isMine(stanza) && question(stanza), options)
  }

  /** The answer of that id. */
  answer(id: string): Promise<Stanza> {
    return this.receives(stanza => stanza.attrs.id === id)
  }

  /** Sends an iq and returns its answer. */
  async asks(type: 'get' | 'set', to: string, payload: string): Promise<Stanza> {
    const id = `${this.nick}-q${++this.#ids}`
    this.sends('iq', `type="${type}" id="${id}" to="${to}"`, payload)
    return this.answer(id)
  }

  /** Joins, and waits for the own presence. */
  async joins(room: string): Promise<void> {
    this.sends('presence', `to="${room}/${this.nick}"`, '<x xmlns="http://jabber.org/protocol/muc"/>')
    await this.receives(stanza => stanza.is('presence') && stanza.attrs.from === `${room}/${this.nick}`)
  }
}

/** Starts it, and waits until the gateway is connected. */
export async function startHostileSystem(topology: Topology): Promise<HostileSystem> {
  await using resources = new AsyncDisposableStack()
  const folder = resources.use(await TemporaryFolder.create('hostile'))
  const xmpp = resources.use(await ComponentServer.start(jid, secret))
  const irc = resources.use(await RawIrcServer.start())
  const { gateway } = await startBetween({ topology, xmppPort: xmpp.port, ircPort: irc.port, folder, resources })
  await gateway.ready()
  const owned = resources.move()
  return {
    ...{ jid, xmpp, irc, gateway },
    async user(name) {
      const user = new HostileUser(name, xmpp)
      const answer = await user.asks(
        'set',
        jid,
        xml`<query xmlns="jabber:iq:register"><username>${name}</username></query>`,
      )
      if (answer.attrs.type !== 'result') throw new Error(`${name} was not registered: ${answer}`)
      user.sends('presence', `to="${jid}"`)
      await user.receives(
        stanza => stanza.is('presence') && stanza.attrs.from === jid && stanza.attrs.type === undefined,
        { deadlineMs: 30_000 },
      )
      return user
    },
    async metric(service, name, labels = {}) {
      const values = await Promise.all(gateway.of(service).map(process => process.metric(name, labels)))
      return values.reduce((sum, value) => sum + value, 0)
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The gateway's own part between an XMPP server and an IRC server that run already; secrets as for the component above. */
export async function startBetween(options: {
  readonly topology: Topology
  readonly xmppPort: number
  readonly ircPort: number
  readonly folder: TemporaryFolder
  readonly resources: AsyncDisposableStack
}): Promise<{ gateway: Gateway; postgres: PostgresServer | undefined }> {
  const { topology, xmppPort, ircPort, folder, resources } = options
  const count = topology === 'pair' ? 2 : 1
  const bus = await startBusServer(jid)
  resources.use(bus.nats)
  const postgres = topology === 'pair' ? resources.use(await startPostgres()) : undefined
  const databaseUrl = await postgres?.createDatabase()
  const database = postgres ? ['type = pqxx'] : ['type = sqlite3', `database = ${join(folder.path, 'database.sql')}`]
  const gateway = resources.use(
    await startGateway({
      cfg: [
        '[service]',
        `jid = ${jid}`,
        'server = 127.0.0.1',
        `port = ${xmppPort}`,
        'backend = irc',
        `irc_server = 127.0.0.1:${ircPort}`,
        '[database]',
        ...database,
        '[irc]',
        'flood_rate = 0',
        '',
      ].join('\n'),
      bus,
      processes: { frontend: count, router: count, worker: count },
      secrets: { componentPassword: secret, ...(databaseUrl === undefined ? {} : { databaseUrl }) },
    }),
  )
  return { gateway, postgres }
}

export const component = { jid, secret }
