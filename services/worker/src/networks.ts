import type { Network } from '@spectrum/network'

/** The networks of this release, loaded only when the configuration names them. The one list. */
export const networks: Readonly<Record<string, () => Promise<Network>>> = {
  irc: async () => (await import('@spectrum/irc')).irc as unknown as Network,
  parrot: async () => (await import('@spectrum/parrot')).parrot as unknown as Network,
}
