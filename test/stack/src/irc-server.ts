import { Server } from './server.ts'

/** How an IRC server is to run. */
export interface IrcServerOptions {
  /** The port for clients without TLS; a free one by default. */
  port?: number
  /** What clients must send as PASS; nothing by default. */
  password?: string
  /** Called with each line of its log. */
  onLine?: (line: string) => void
}

/** A running IRC server. */
export class IrcServer extends Server {
  readonly host = '127.0.0.1'
  /** Port for clients without TLS. */
  readonly port: number

  constructor(port: number, ...rest: ConstructorParameters<typeof Server>) {
    super(...rest)
    this.port = port
  }
}
