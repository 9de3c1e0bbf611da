// One XMPP user of the load: same class for both modes; only `write` differs.
import { attr, esc, startTag } from './xml.mjs'

let seq = 0
export class XUser {
  constructor(local, host, write) {
    this.local = local
    this.bare = `${local}@${host}`
    this.full = `${this.bare}/bench`
    this.write = write
    this.waiters = new Map()
    this.onMessage = null
    this.onPresence = null
    this.errors = 0
  }
  // name, attributes and payload; `from` is always the full JID
  send(name, attrs, payload = '') {
    this.write(`<${name} from='${this.full}'${attrs}>${payload}</${name}>`)
  }
  presence(to, payload = '', type) {
    this.send('presence', ` to='${esc(to)}'${type ? ` type='${type}'` : ''}`, payload)
  }
  iq(type, to, payload, timeout = 15000) {
    const id = `bq${++seq}`
    return new Promise((ok, no) => {
      const t = setTimeout(() => {
        this.waiters.delete(id)
        no(new Error(`no answer to iq for ${to}: ${payload.slice(0, 120)}`))
      }, timeout)
      this.waiters.set(id, s => {
        clearTimeout(t)
        attr(s, 'type') === 'error' ? no(new Error(`iq error: ${s}`)) : ok(s)
      })
      this.send('iq', ` to='${esc(to)}' type='${type}' id='${id}'`, payload)
    })
  }
  dispatch(s) {
    const c = s.charCodeAt(1)
    if (c === 109) {
      // message
      if (/\stype=["']error["']/.test(startTag(s))) {
        this.errors++
        this.lastError = s
        return
      }
      this.onMessage?.(s, this)
    } else if (c === 112) {
      // presence
      const type = attr(s, 'type')
      if (type === 'subscribe') this.presence(attr(s, 'from'), '', 'subscribed')
      else if (type === 'error') {
        this.errors++
        this.lastError = s
      }
      this.onPresence?.(s, this, type)
    } else if (c === 105) this.#iq(s)
  }
  #iq(s) {
    const type = attr(s, 'type'),
      id = attr(s, 'id'),
      from = attr(s, 'from')
    if (type === 'result' || type === 'error') {
      const w = this.waiters.get(id)
      if (w) {
        this.waiters.delete(id)
        w(s)
      }
      return
    }
    // A gateway may ask its users for disco#info, version, ping ...: answer as a client does.
    let body = '',
      rtype = 'result'
    if (s.includes('disco#info'))
      body = `<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='bot' name='bench'/><feature var='http://jabber.org/protocol/muc'/></query>`
    else if (!s.includes('urn:xmpp:ping') && !s.includes('http://jabber.org/protocol/rosterx')) {
      rtype = 'error'
      body = `<error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`
    }
    this.write(`<iq from='${this.full}' to='${esc(from ?? '')}' id='${esc(id ?? '')}' type='${rtype}'>${body}</iq>`)
  }
}
