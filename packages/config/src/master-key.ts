/**
 * The 32 bytes of a master key written in base64 (also base64url) or as 64 hexadecimal digits; undefined when `text` is
 * neither.
 */
export function masterKeyBytes(text: string): Buffer | undefined {
  const key = text.trim()
  if (/^[0-9a-fA-F]{64}$/.test(key)) return Buffer.from(key, 'hex')
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(key)) return undefined
  const bytes = Buffer.from(key, 'base64')
  return bytes.length === 32 ? bytes : undefined
}
