import { defineNetwork } from '@spectrum/network'
import { config } from './config.ts'
import { parseRoom, parseUser, parseUsername } from './ids.ts'
import { ParrotSession } from './session.ts'
import { World } from './world.ts'

/** The pretend network of the documentation, the demonstrations and the tests: lives in memory, one world per connector. */
export const parrot = defineNetwork({
  id: 'parrot',
  name: 'Parrot',
  identityType: 'parrot',
  config,
  create: (config, { log, clock }) => {
    const world = new World(config, clock)
    log.debug({ latencyMs: config.latencyMs, echo: config.echo }, 'parrots are awake')
    return {
      manifest: async () => ({
        registration: { isRequired: true, needsPassword: false },
        hasRooms: true,
        hasReceipts: true,
        hasRawXml: false,
        escapesJids: true,
        rooms: world.publicRooms().map(({ id, facts }) => ({ room: id, name: facts.name ?? id })),
      }),
      parseUser,
      parseRoom,
      parseUsername,
      open: (login, host) => new ParrotSession(login, host, world),
      stop: async () => world.stop(),
    }
  },
})
