import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createServer, type Server } from 'node:tls'
import { NetworkError } from '@spectrum/network'
import { Egress } from './connect.ts'
import { EgressPolicy } from './policy.ts'

// A self-signed certificate for irc.example.net, made for this test and used nowhere else.
const cert = `-----BEGIN CERTIFICATE-----
MIIBqDCCAU2gAwIBAgIUO31gWoUm5+PB8/fy291aIDHadN4wCgYIKoZIzj0EAwIw
GjEYMBYGA1UEAwwPaXJjLmV4YW1wbGUubmV0MCAXDTI2MTEyMDE4MTk1NFoYDzIx
MjYxMDI3MTgxOTU0WjAaMRgwFgYDVQQDDA9pcmMuZXhhbXBsZS5uZXQwWTATBgcq
hkjOPQIBBggqhkjOPQMBBwNCAAQ1vxMjtiX0J7zz42yHLmZK5tbMdNf7tREEj+3s
IQRNOwzO0vf3RlM0QPJw29M9sIVIn6FQQ/2mp9Czm5uOLXX5o28wbTAdBgNVHQ4E
FgQUM6MiA5S8d/CGWQ7JgTVi6PUd5yMwHwYDVR0jBBgwFoAUM6MiA5S8d/CGWQ7J
gTVi6PUd5yMwDwYDVR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgg9pcmMuZXhhbXBs
ZS5uZXQwCgYIKoZIzj0EAwIDSQAwRgIhAO8tAGyWkEF4WRVGz2eccSlpiUtlMhRa
0z/Du8HlCozIAiEAgEb4gav1OIpCINJQx31B/Kn/hYbQA7+a4N3W+fIXW7w=
-----END CERTIFICATE-----`
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVQZ84LgwZUPmSQt4
fBZyOrcFeDI5h1VJjCXc6g/0mF2hRANCAAQ1vxMjtiX0J7zz42yHLmZK5tbMdNf7
tREEj+3sIQRNOwzO0vf3RlM0QPJw29M9sIVIn6FQQ/2mp9Czm5uOLXX5
-----END PRIVATE KEY-----`

const never = new AbortController().signal
const egress = new Egress({ policy: new EgressPolicy({ deny: [], allow: [], allowedPorts: [] }), onRefused() {} })
let server: Server
let port = 0

before(async () => {
  server = createServer({ cert, key }, socket => {
    socket.on('error', () => socket.destroy())
    socket.write('hello')
  })
  server.on('tlsClientError', (_, socket) => socket.destroy())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
after(() => server.close())

const connect = (tls: object) => egress.connect({ host: '127.0.0.1', port, namedBy: 'operator', tls }, never)
const isUnreachable = (error: unknown) => error instanceof NetworkError && error.code === 'unreachable'

test('a certificate that nobody vouches for is refused', async () => {
  await assert.rejects(connect({ servername: 'irc.example.net' }), isUnreachable)
})

test('unless it is the pinned one, or nothing is verified', async () => {
  const { fingerprint256 } = new X509Certificate(cert)
  for (const tls of [
    { fingerprintSha256: fingerprint256 },
    { fingerprintSha256: fingerprint256.replaceAll(':', '').toLowerCase() },
    { verify: false },
  ]) {
    const socket = await connect(tls)
    const [data] = await once(socket, 'data')
    assert.equal(String(data), 'hello')
    socket.destroy()
  }
})

test('another than the pinned one is refused even when nothing else is verified', async () => {
  await assert.rejects(connect({ fingerprintSha256: 'ab'.repeat(32), verify: false }), isUnreachable)
})
