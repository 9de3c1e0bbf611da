// Mode `prosody`: users are raw c2s connections (SASL PLAIN) to a real Prosody,
// and the gateway is a component of that Prosody.

import { spawn } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { stopChild, waitPort } from './proc.mjs'
import { XUser } from './user.mjs'
import { attr, batchedWriter, StanzaSplitter } from './xml.mjs'

export class ProsodyFabric {
  constructor({ domain, secret, dir, c2sPort, compPort, userHost = 'localhost', bin = 'prosody' }) {
    Object.assign(this, { domain, secret, dir, c2sPort, compPort, userHost, bin })
    this.stanzas = 0
    this.bytes = 0
    this.socks = []
  }
  async listen() {
    fs.mkdirSync(path.join(this.dir, 'data'), { recursive: true })
    const cfg = path.join(this.dir, 'prosody.cfg.lua')
    fs.writeFileSync(
      cfg,
      `
run_as_root = true
daemonize = false
pidfile = "${this.dir}/prosody.pid"
data_path = "${this.dir}/data"
log = { warn = "${this.dir}/prosody.log" }
modules_enabled = { "saslauth", "roster", "disco", "vcard", "privilege" }
modules_disabled = { "s2s", "tls", "offline" }
interfaces = { "127.0.0.1" }
c2s_ports = { ${this.c2sPort} }
c2s_direct_tls_ports = {}
component_interfaces = { "127.0.0.1" }
component_ports = { ${this.compPort} }
s2s_ports = {}
s2s_direct_tls_ports = {}
http_ports = {}
https_ports = {}
authentication = "insecure"
allow_unencrypted_plain_auth = true
insecure_open_authentication = "Yes please, I know what I'm doing!"
c2s_require_encryption = false
storage = "memory"
unlimited_jids = {}
VirtualHost "${this.userHost}"
  privileged_entities = { ["${this.domain}"] = { roster = "both", message = "outgoing", presence = "roster", iq = { ["vcard-temp"] = "both" } } }
Component "${this.domain}"
  component_secret = "${this.secret}"
  modules_enabled = { "privilege" }
`,
    )
    this.child = spawn(this.bin, ['--config', cfg, '-F'], {
      stdio: ['ignore', fs.openSync(path.join(this.dir, 'prosody.out'), 'w'), 'inherit'],
    })
    await waitPort(this.c2sPort)
    await waitPort(this.compPort)
    this.pid = this.child.pid
    // ready = the gateway answers a disco#info through Prosody
    this.ready = (async () => {
      const probe = await this.user('probe')
      for (let i = 0; i < 100; i++) {
        try {
          await probe.iq('get', this.domain, `<query xmlns='http://jabber.org/protocol/disco#info'/>`, 2000)
          probe.sock.destroy()
          return
        } catch {
          await new Promise(r => setTimeout(r, 100))
        }
      }
      throw new Error('the gateway does not answer through Prosody')
    })()
  }
  user(local) {
    return new Promise((ok, no) => {
      const sock = net.connect(this.c2sPort, '127.0.0.1')
      sock.setNoDelay(true)
      sock.setEncoding('utf8')
      const write = batchedWriter(sock)
      const u = new XUser(local, this.userHost, write)
      u.sock = sock
      this.socks.push(sock)
      const open = () =>
        write(
          `<?xml version='1.0'?><stream:stream to='${this.userHost}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`,
        )
      let state = 0
      const split = new StanzaSplitter({
        onStanza: s => {
          if (state === 9) {
            this.stanzas++
            return u.dispatch(s)
          }
          if (s.startsWith('<stream:features')) {
            if (state === 0) {
              state = 1
              write(
                `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${Buffer.from(`\0${local}\0pw`).toString('base64')}</auth>`,
              )
            } else {
              state = 3
              write(
                `<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind></iq>`,
              )
            }
          } else if (s.startsWith('<success')) {
            state = 2
            split.reset()
            open()
          } else if (s.startsWith('<iq') && attr(s, 'id') === 'bind' && attr(s, 'type') === 'result') {
            state = 9
            write('<presence/>')
            ok(u)
          } else no(new Error(`c2s login of ${local}: ${s}`))
        },
      })
      sock.on('connect', open)
      sock.on('data', d => {
        this.bytes += d.length
        split.push(d)
      })
      sock.on('error', no)
    })
  }
  async close() {
    for (const s of this.socks) {
      s.removeAllListeners('error')
      s.on('error', () => {})
      s.destroy()
    }
    await stopChild(this.child)
  }
}
