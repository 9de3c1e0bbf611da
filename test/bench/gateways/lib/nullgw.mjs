#!/usr/bin/env node
import { createHash } from 'node:crypto'
// The least gateway that passes the workloads: no state, no roster, no errors.
// It checks the harness, and shows the ceiling that harness and IRC server allow.
import net from 'node:net'
import { attr, batchedWriter, esc, StanzaSplitter } from './xml.mjs'

const [domain, secret, xhost, xport, ihost, iport] = process.argv.slice(2)
const sock = net.connect(+xport, xhost)
sock.setNoDelay(true)
sock.setEncoding('utf8')
const write = batchedWriter(sock),
  users = new Map() // full JID -> session
const ITEM = `<x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/>`
sock.on('connect', () =>
  write(
    `<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='${domain}'>`,
  ),
)
sock.on('close', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
const split = new StanzaSplitter({
  onOpen: tag =>
    write(
      `<handshake>${createHash('sha1')
        .update(attr(tag, 'id') + secret)
        .digest('hex')}</handshake>`,
    ),
  onStanza: s => {
    const from = attr(s, 'from'),
      to = attr(s, 'to')
    if (!to) return
    const [local, nick] = [to.slice(0, to.indexOf('@')), to.includes('/') ? to.slice(to.indexOf('/') + 1) : '']
    const target = local.slice(0, local.lastIndexOf('%'))
    if (s.startsWith('<presence') && target[0] === '#') {
      const u = users.get(from)
      if (attr(s, 'type') === 'unavailable') return u?.raw(`PART ${target}`)
      if (u) u.raw(`JOIN ${target}`)
      else session(from, nick, target, local.slice(local.lastIndexOf('%') + 1))
    } else if (s.startsWith('<message')) {
      const b = /<body[^>]*>([^<]*)<\/body>/.exec(s),
        u = users.get(from)
      if (!b || !u) return
      u.raw(`PRIVMSG ${target} :${b[1]}`)
      if (target[0] === '#')
        write(
          `<message type='groupchat' from='${to}/${u.nick}' to='${from}' id='${attr(s, 'id')}'><body>${b[1]}</body></message>`,
        )
    } else if (s.startsWith('<iq') && attr(s, 'type') !== 'result' && attr(s, 'type') !== 'error')
      write(`<iq type='result' id='${attr(s, 'id')}' from='${to}' to='${from}'/>`)
  },
})
sock.on('data', d => split.push(d))
function session(jid, nick, chan, server) {
  const s = net.connect(+iport, ihost),
    w = batchedWriter(s)
  s.setNoDelay(true)
  s.setEncoding('utf8')
  const u = { nick, raw: l => w(l + '\r\n') }
  users.set(jid, u)
  const room = c => esc(`${c}%${server}@${domain}`)
  const pres = (c, n, extra = '', type = '') =>
    write(`<presence from='${room(c)}/${esc(n)}' to='${jid}'${type}>${ITEM}${extra}</x></presence>`)
  let buf = ''
  s.on('error', () => {})
  s.on('close', () => users.delete(jid))
  s.on('connect', () => u.raw(`NICK ${nick}\r\nUSER ${nick} 0 * :null`))
  s.on('data', d => {
    const lines = (buf + d).split('\r\n')
    buf = lines.pop()
    for (const l of lines) {
      if (l.startsWith('PING')) {
        u.raw('PONG' + l.slice(4))
        continue
      }
      const p = l.split(' '),
        who = p[0].slice(1).split('!')[0]
      switch (p[1]) {
        case '001':
          u.raw(`JOIN ${chan}`)
          break
        case '353':
          for (const n of l
            .slice(l.indexOf(' :') + 2)
            .trim()
            .split(' ')) {
            const k = n.replace(/^[@+%&~]/, '')
            if (k !== nick) pres(p[4], k)
          }
          break
        case '366':
          pres(p[3], nick, `<status code='110'/>`)
          break
        case 'JOIN':
          if (who !== nick) pres(p[2].replace(/^:/, ''), who)
          break
        case 'PART':
          pres(p[2], who, who === nick ? `<status code='110'/>` : '', ` type='unavailable'`)
          if (who === nick) {
            u.raw('QUIT')
            users.delete(jid)
          }
          break
        case 'PRIVMSG': {
          const text = esc(l.slice(l.indexOf(' :', 1) + 2))
          write(
            p[2][0] === '#'
              ? `<message type='groupchat' from='${room(p[2])}/${esc(who)}' to='${jid}'><body>${text}</body></message>`
              : `<message type='chat' from='${esc(`${who}%${server}@${domain}`)}' to='${jid}'><body>${text}</body></message>`,
          )
        }
      }
    }
  })
}
