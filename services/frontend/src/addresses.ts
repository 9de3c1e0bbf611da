import type { Address } from '@spectrum/messages'
import { type NodeStyle, nameToNode, nodeToName, prepareLocal, prepareResource } from '@spectrum/xmpp'

/** Between JIDs of the gateway's domain and names of the network. */
export class Addresses {
  readonly domain: string
  style: NodeStyle
  #nodes = new Map<string, string | undefined>()

  constructor(domain: string, style: NodeStyle) {
    this.domain = domain
    this.style = style
  }

  /** The address behind the local part and resource of a JID, both prepared. */
  parse(local: string, resource: string): Address {
    return { name: local === '' ? '' : nodeToName(local, this.style), node: local, resource }
  }

  /** The JID of an address; `undefined` when there is no JID for that name or nick. */
  format(address: Address | undefined): string | undefined {
    if (address === undefined) return undefined
    const bare = this.bare(address)
    if (bare === undefined || address.resource === '') return bare
    const resource = prepareResource(address.resource)
    return resource === undefined ? undefined : `${bare}/${resource}`
  }

  /** The JID of an address without its resource. */
  bare({ name, node }: Address): string | undefined {
    if (node === '' && name === '') return this.domain
    const local = node === '' ? this.#nodeOf(name) : this.#prepared(node)
    return local === undefined ? undefined : `${local}@${this.domain}`
  }

  #nodeOf(name: string): string | undefined {
    return this.#prepared(nameToNode(name, this.style))
  }

  // The same rooms and contacts speak again and again.
  #prepared(node: string): string | undefined {
    if (this.#nodes.has(node)) return this.#nodes.get(node)
    const prepared = prepareLocal(node)
    if (this.#nodes.size >= 10_000) this.#nodes.clear()
    this.#nodes.set(node, prepared)
    return prepared
  }
}

/** The JID without its resource, where it has one: a component or bridge speaks as a bare JID. */
export const bareOf = (jid: string): string => jid.split('/', 1)[0] ?? jid
