import { BlockList, isIP } from 'node:net'

/** Why a target is refused: `address` and `port` by the policy, `invalid` when it is no address at all. */
export type Refusal = 'private' | 'denied' | 'port' | 'invalid'

/** The operator's part of the policy: blocks as `192.0.2.0/24`, `2001:db8::/32` or single addresses. */
export interface EgressRules {
  readonly deny: readonly string[]
  /** Wins over everything that refuses an address. */
  readonly allow: readonly string[]
  /** Each a port or a range (`6660-6669`). None: every port. */
  readonly allowedPorts: readonly string[]
}

/** Special-purpose IPv4 blocks (IANA registry, RFC 6890): nothing that a user of the gateway has a reason to name. */
const specialV4 = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private
  '100.64.0.0/10', // carrier-grade NAT
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local, cloud metadata
  '172.16.0.0/12', // private
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.88.99.0/24', // 6to4 relays
  '192.168.0.0/16', // private
  '198.18.0.0/15', // benchmarks
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
]

/** The same for IPv6. What embeds an IPv4 address is refused whole: it would reach the blocks above by another name. */
const specialV6 = [
  '::/96', // unspecified, loopback, IPv4-compatible
  '::ffff:0:0/96', // IPv4-mapped
  '::ffff:0:0:0/96', // IPv4-translated (RFC 2765)
  '64:ff9b::/96', // NAT64
  '64:ff9b:1::/48', // NAT64, local use
  '100::/64', // discard
  '2001::/23', // protocol assignments: Teredo, ORCHID, benchmarks
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4
  '3fff::/20', // documentation
  '5f00::/16', // segment routing
  'fc00::/7', // unique local
  'fe80::/10', // link-local
  'fec0::/10', // site-local
  'ff00::/8', // multicast
]

/** Decides on addresses that users made the gateway resolve (ARCHITECTURE.md section 5). Decides on numbers, never on names. */
export class EgressPolicy {
  readonly #special = new AddressSet([...specialV4, ...specialV6])
  readonly #deny: AddressSet
  readonly #allow: AddressSet
  readonly #ports: ReadonlySet<number>

  constructor({ deny, allow, allowedPorts }: EgressRules) {
    this.#deny = new AddressSet(deny)
    this.#allow = new AddressSet(allow)
    this.#ports = new Set(allowedPorts.flatMap(portsOf))
  }

  /** Why this address and port may not be connected to; undefined when it may. */
  refusal(address: string, port: number): Refusal | undefined {
    if (isIP(address) === 0 || address.includes('%')) return 'invalid'
    if (!this.#allow.has(address)) {
      if (this.#deny.has(address)) return 'denied'
      if (this.#special.has(address)) return 'private'
    }
    return this.#isPortRefused(port) ? 'port' : undefined
  }

  /** What is refused, and which options would allow it: for the operator's log, never for the user, who may be hostile. */
  explain(address: string, port: number): { refused: string; allowedBy: string } {
    const refusal = this.refusal(address, port)
    const isAddress = refusal === 'private' || refusal === 'denied'
    const reasons = [
      ...(isAddress ? [[`address (${refusal})`, `egress.allow = ${address}`]] : []),
      ...(this.#isPortRefused(port) ? [['port', `egress.allowed_ports = ${port}`]] : []),
    ]
    return {
      refused: reasons.map(([what]) => what).join(' and '),
      allowedBy: reasons.map(([, option]) => option).join(' and '),
    }
  }

  #isPortRefused(port: number): boolean {
    return this.#ports.size > 0 && !this.#ports.has(port)
  }
}

function portsOf(range: string): number[] {
  const [first = 0, last = first] = range.split('-').map(Number)
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}

/**
 * A set of address blocks. One list for each family: in a shared one Node compares IPv4 addresses with IPv6 blocks in
 * their mapped form, and `::ffff:0:0/96` would hold every IPv4 address.
 */
class AddressSet {
  readonly #v4 = new BlockList()
  readonly #v6 = new BlockList()

  constructor(blocks: readonly string[]) {
    for (const block of blocks) {
      const [address = '', length] = block.split('/')
      const isV6 = isIP(address) === 6
      const list = isV6 ? this.#v6 : this.#v4
      list.addSubnet(address, length === undefined ? (isV6 ? 128 : 32) : Number(length), isV6 ? 'ipv6' : 'ipv4')
    }
  }

  has(address: string): boolean {
    return isIP(address) === 6 ? this.#v6.check(address, 'ipv6') : this.#v4.check(address, 'ipv4')
  }
}
