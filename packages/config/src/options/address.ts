import { isIP } from 'node:net'
import { z } from 'zod'

/** A TCP port; 0 has the meaning that the option's description gives it. */
export const port = () => z.int().min(0).max(65_535)

/** A host name or an IP address. */
export const host = () => z.string().regex(/^[^\s/@]+$/, 'must be a host name or an IP address')

/** A host that only this machine can reach. */
export const isLoopback = (text: string): boolean =>
  text === 'localhost' || text === '::1' || (isIP(text) === 4 && text.startsWith('127.'))

/** `6697`, or `6660-6669`. */
export const ports = () => z.string().refine(isPorts, 'must be a port or a range of ports, such as 6660-6669')

function isPorts(text: string): boolean {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  return first !== undefined && Number(first) >= 1 && Number(first) <= Number(last) && Number(last) <= 65_535
}

/** `192.0.2.0/24`, `2001:db8::/32`, or a single address. */
export const addressBlock = () =>
  z.string().refine(isAddressBlock, 'must be an IP address or a block of them, such as 10.0.0.0/8')

function isAddressBlock(text: string): boolean {
  const [address = '', length, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128))
}
