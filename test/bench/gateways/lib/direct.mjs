// Mode `direct`: the harness is itself the server side of XEP-0114. The gateway
// connects here, and stanzas of any number of users go straight into it.

import { createHash, randomUUID } from 'node:crypto'
import net from 'node:net'
import { XUser } from './user.mjs'
import { attr, batchedWriter, StanzaSplitter } from './xml.mjs'

export class DirectFabric {
  constructor({ domain, secret, userHost = 'users.bench' }) {
    Object.assign(this, { domain, secret, userHost })
    this.users = new Map()
    this.stanzas = 0
    this.bytes = 0
    this.conn = null
    this.ready = new Promise(r => {
      this.markReady = r
    })
  }
  listen(port, host = '127.0.0.1') {
    this.server = net.createServer(s => this.#accept(s))
    return new Promise((ok, no) => {
      this.server.once('error', no)
      this.server.listen(port, host, ok)
    })
  }
  #accept(sock) {
    sock.setNoDelay(true)
    sock.setEncoding('utf8')
    sock.on('error', () => {})
    const id = randomUUID()
    let authed = false
    const write = batchedWriter(sock)
    const split = new StanzaSplitter({
      onOpen: () =>
        write(
          `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' from='${this.domain}' id='${id}'>`,
        ),
      onStanza: s => {
        if (authed) return this.#stanza(s)
        if (!s.startsWith('<handshake')) return
        const got = s.replace(/<[^>]*>/g, '').trim()
        const want = createHash('sha1')
          .update(id + this.secret)
          .digest('hex')
        if (got !== want) {
          sock.end(
            `<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`,
          )
          return
        }
        authed = true
        this.write = write
        this.conn = sock
        write('<handshake/>')
        this.markReady()
      },
      onClose: () => sock.end('</stream:stream>'),
    })
    sock.on('data', d => {
      this.bytes += d.length
      split.push(d)
    })
    sock.on('close', () => {
      if (this.conn === sock) this.conn = null
    })
  }
  #stanza(s) {
    this.stanzas++
    const to = attr(s, 'to')
    if (!to) return
    // As XMPP servers do: what a component sends to its own domain comes back on its own stream (ping barriers).
    if (to === this.domain || to.startsWith(`${this.domain}/`)) return this.write(s)
    let u = this.users.get(to)
    if (!u) {
      const i = to.indexOf('/')
      if (i > 0) u = this.users.get(to.slice(0, i))
    }
    if (u) u.dispatch(s)
  }
  async user(local) {
    const u = new XUser(local, this.userHost, x => this.write(x))
    this.users.set(u.bare, u)
    this.users.set(u.full, u)
    return u
  }
  async close() {
    this.conn?.destroy()
    await new Promise(r => this.server.close(r))
  }
}
