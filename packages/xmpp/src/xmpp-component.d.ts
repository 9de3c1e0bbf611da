// The library ships no types; this is the part of it that component-stream.ts uses.
declare module '@xmpp/component' {
  import type { EventEmitter } from 'node:events'
  import type { Socket } from 'node:net'
  import type { Element } from 'ltx'

  export interface ComponentEntity extends EventEmitter {
    status: string
    socket: Socket | null
    parser: { write(text: string): void } | null
    /** How long each step of the handshake may take. */
    timeout: number
    Socket: new () => Socket
    Parser: new () => EventEmitter
    reconnect: { delay: number; scheduleReconnect(): void; reconnect(): Promise<void>; stop(): void }
    write(text: string): Promise<void>
    _onElement(element: Element): void
    _onData(data: string | Buffer): void
  }
  export function component(options: {
    service: string
    domain: string
    /** Called when a stream stands; what it is given sends the handshake. */
    password(authenticate: (password: string) => Promise<void>): Promise<void>
  }): ComponentEntity
}
