// Raw IRC client: just enough to register, join, speak and listen.
import net from 'node:net'
import { batchedWriter } from './xml.mjs'
export class IrcClient {
  constructor({ host, port, nick }) {
    Object.assign(this, { host, port, nick })
    this.onPrivmsg = null
    this.buf = ''
    this.joined = new Map()
  }
  connect() {
    return new Promise((ok, no) => {
      const s = (this.sock = net.connect(this.port, this.host))
      s.setNoDelay(true)
      s.setEncoding('utf8')
      this.write = batchedWriter(s)
      s.on('connect', () => this.raw(`NICK ${this.nick}\r\nUSER ${this.nick} 0 * :bench`))
      s.on('error', no)
      s.on('close', () => no(new Error(`${this.nick}: the IRC server closed the connection`)))
      s.on('data', d => {
        let b = this.buf + d,
          p = 0,
          e
        while ((e = b.indexOf('\n', p)) >= 0) {
          this.#line(b.slice(p, b.charCodeAt(e - 1) === 13 ? e - 1 : e), ok, no)
          p = e + 1
        }
        this.buf = b.slice(p)
      })
    })
  }
  raw(line) {
    this.write(line + '\r\n')
  }
  privmsg(to, text) {
    this.write(`PRIVMSG ${to} :${text}\r\n`)
  }
  #line(l, ok, no) {
    if (l.startsWith('PING')) return this.raw('PONG' + l.slice(4))
    const a = l.indexOf(' '),
      b = l.indexOf(' ', a + 1)
    const cmd = l.slice(a + 1, b < 0 ? undefined : b)
    if (cmd === 'PRIVMSG') {
      const c = l.indexOf(' ', b + 1)
      this.onPrivmsg?.(l.slice(b + 1, c), l.slice(c + 2), l)
    } else if (cmd === '001') ok(this)
    else if (cmd === '433' || cmd === '432') no(new Error(l))
    else if (cmd === '366') {
      const ch = l.split(' ')[3].toLowerCase()
      this.joined.get(ch)?.()
      this.joined.delete(ch)
    }
  }
  join(chan) {
    return new Promise((r, no) => {
      const t = setTimeout(() => no(new Error(`IRC join of ${chan} not confirmed`)), 10000)
      this.joined.set(chan.toLowerCase(), () => {
        clearTimeout(t)
        r()
      })
      this.raw(`JOIN ${chan}`)
    })
  }
  quit() {
    this.sock.removeAllListeners('close')
    this.sock.removeAllListeners('error')
    this.sock.on('error', () => {})
    this.sock.end('QUIT\r\n')
  }
}
