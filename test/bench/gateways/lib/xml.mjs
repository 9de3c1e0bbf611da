// Cuts an XMPP byte stream into top-level stanzas (strings). No tree is built:
// the load generator only needs a few attributes, so that it stays cheaper than
// anything it measures.
export class StanzaSplitter {
  constructor({ onOpen, onStanza, onClose }) {
    this.onOpen = onOpen
    this.onStanza = onStanza
    this.onClose = onClose
    this.reset()
  }
  reset() {
    this.buf = ''
    this.pos = 0
    this.start = -1
    this.depth = 0
    this.gen = (this.gen ?? 0) + 1
  }
  push(chunk) {
    const buf = this.buf.length ? this.buf + chunk : chunk
    const n = buf.length
    let { pos, start, depth, gen } = this
    for (;;) {
      const lt = buf.indexOf('<', pos)
      if (lt < 0) {
        pos = n
        break
      }
      let i = lt + 1,
        quote = 0
      for (; i < n; i++) {
        const c = buf.charCodeAt(i)
        if (quote) {
          if (c === quote) quote = 0
        } else if (c === 62) break
        else if (c === 34 || c === 39) quote = c
      }
      if (i >= n) {
        pos = lt
        break
      }
      const first = buf.charCodeAt(lt + 1)
      if (first === 63) {
        /* <?xml ...?> */
      } else if (first === 47) {
        depth--
        if (depth === 1) {
          this.onStanza(buf.slice(start, i + 1))
          start = -1
        } else if (depth === 0) this.onClose?.()
      } else if (buf.charCodeAt(i - 1) === 47) {
        if (depth === 1) this.onStanza(buf.slice(lt, i + 1))
      } else {
        if (depth === 0) this.onOpen?.(buf.slice(lt, i + 1))
        else if (depth === 1) start = lt
        depth++
      }
      pos = i + 1
      if (this.gen !== gen) return // reset() from a handler: a new stream begins
    }
    const cut = start >= 0 ? start : pos
    this.buf = buf.slice(cut)
    this.pos = pos - cut
    this.start = start >= 0 ? 0 : -1
    this.depth = depth
  }
}

export function startTag(s) {
  const e = s.indexOf('>')
  return e < 0 ? s : s.slice(0, e)
}
const attrRe = new Map()
export function attr(s, name) {
  let re = attrRe.get(name)
  if (!re) attrRe.set(name, (re = new RegExp(`\\s${name}=(?:"([^"]*)"|'([^']*)')`)))
  const m = re.exec(startTag(s))
  return m ? (m[1] ?? m[2]) : undefined
}
const ESC = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }
export const esc = s => String(s).replace(/[&<>"']/g, c => ESC[c])

// Writes batched per event-loop turn, so that the harness does few system calls.
export function batchedWriter(sock) {
  let corked = false
  return data => {
    if (!corked) {
      corked = true
      sock.cork()
      process.nextTick(() => {
        corked = false
        sock.uncork()
      })
    }
    sock.write(data)
  }
}
