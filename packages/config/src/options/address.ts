import { isIP } from 'node:net'
import { z } from 'zod'

/** A TCP port; 0 has the meaning that the option's description gives it. */
export const port = () => z.int().min(0).max(65_535)

/** A host name or an IP address. */
export const host = () => z.string().regex(/^[^\s/@]+$/, 'must be a host name or an IP address')

/** `192.0.2.0/24`, `2001:db8::/32`, or a single address. */
export const addressBlock = () =>
  z.string().refine(isAddressBlock, 'must be an IP address or a block of them, such as 10.0.0.0/8')

function isAddressBlock(text: string): boolean {
  const [address = '', length, ...rest] = text.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  return length === undefined || (/^\d{1,3}$/.test(length) && Number(length) <= (version === 4 ? 32 : 128))
}
