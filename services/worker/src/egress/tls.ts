import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { ConnectTarget } from '@spectrum/network'

type TlsTarget = NonNullable<ConnectTarget['tls']>

/**
 * TLS over a connected socket. The certificate must be valid for `servername` (default: the host); with
 * `fingerprintSha256` (hex, colons or not) that certificate and no other is accepted, whoever signed it; `verify: false`
 * accepts any. Takes the socket over: it is destroyed when the handshake fails.
 */
export function startTls(socket: Socket, host: string, target: TlsTarget, signal: AbortSignal): Promise<TLSSocket> {
  const name = target.servername ?? host
  const pinned = target.fingerprintSha256 === undefined ? undefined : normalized(target.fingerprintSha256)
  const options: ConnectionOptions = {
    socket,
    // RFC 6066 section 3: no addresses in SNI.
    ...(isIP(name) === 0 ? { servername: name } : {}),
    host: name,
    rejectUnauthorized: target.verify !== false && pinned === undefined,
    minVersion: 'TLSv1.2',
    ...(target.cert === undefined ? {} : { cert: target.cert }),
    ...(target.key === undefined ? {} : { key: target.key }),
    ...(target.alpn === undefined ? {} : { ALPNProtocols: [...target.alpn] }),
  }
  return new Promise((resolve, reject) => {
    const secure = connect(options)
    const abort = () => secure.destroy(new Error('took too long'))
    signal.addEventListener('abort', abort, { once: true })
    const settle = () => {
      signal.removeEventListener('abort', abort)
      secure.removeListener('error', fail)
      secure.removeListener('close', close)
    }
    const fail = (error: Error) => {
      settle()
      secure.destroy()
      socket.destroy()
      reject(error)
    }
    const close = () => fail(new Error('closed during the TLS handshake'))
    secure.once('error', fail)
    secure.once('close', close)
    secure.once('secureConnect', () => {
      if (pinned !== undefined && normalized(secure.getPeerCertificate().fingerprint256 ?? '') !== pinned)
        return fail(new Error('the certificate is not the one that was pinned'))
      settle()
      resolve(secure)
    })
    if (signal.aborted) abort()
  })
}

const normalized = (fingerprint: string): string => fingerprint.replaceAll(':', '').toLowerCase()
