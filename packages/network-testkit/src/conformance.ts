import assert from 'node:assert/strict'
import { test } from 'node:test'
import { contacts } from './cases/contacts.ts'
import { extras } from './cases/extras.ts'
import { hostileInput } from './cases/hostile-input.ts'
import { messages } from './cases/messages.ts'
import { reconnecting } from './cases/reconnecting.ts'
import { rooms } from './cases/rooms.ts'
import { signingIn } from './cases/signing-in.ts'
import type { ConformanceOptions } from './options.ts'
import { type Case, type Offer, Stage } from './stage.ts'

const inRooms = rooms.map(each => ({
  ...each,
  needs: (offer: Offer) =>
    offer.session.rooms !== undefined && offer.options.room !== undefined && (each.needs?.(offer) ?? true),
}))

const cases: readonly Case[] = [
  ...signingIn,
  ...messages,
  ...inRooms,
  ...contacts,
  ...extras,
  ...hostileInput,
  ...reconnecting,
]

/**
 * Registers one test of `node:test` in which a network is held to its interface. It signs in, reads what the session
 * offers, and runs the cases that belong to it, each as a subtest; what is not offered is not run, and said so.
 * `options` may be a function, so that a server can be started first; the caller stops it afterwards.
 */
export function conformance(
  name: string,
  options: ConformanceOptions | (() => Promise<ConformanceOptions> | ConformanceOptions),
): void {
  test(`conformance: ${name}`, async context => {
    const stage = new Stage(typeof options === 'function' ? await options() : options)
    try {
      const offer = await offerOf(stage)
      for (const each of cases) {
        if (each.needs?.(offer) ?? true) await context.test(each.name, () => each.run(stage))
        else context.diagnostic(`not offered: ${each.name}`)
      }
      await context.test('logs hold no password and no message', () => assertDiscreet(stage))
    } finally {
      await stage.close()
    }
  })
}

async function offerOf(stage: Stage): Promise<Offer> {
  const { session, account } = await stage.me()
  const user = stage.connector.parseUser(account.username)
  const room = stage.options.room === undefined ? undefined : stage.connector.parseRoom(stage.newRoom())
  const contactChat = session.featuresOf({ kind: 'contact', user })
  return {
    options: stage.options,
    session: session.features,
    contactChat,
    roomChat: room === undefined ? contactChat : session.featuresOf({ kind: 'room', room }),
    peerHasSession: (await stage.peer()).login !== undefined,
  }
}

function assertDiscreet({ hosts, options }: Stage): void {
  const logged = JSON.stringify(hosts.map(host => host.logged))
  const secrets = [options.account.password, options.peerAccount?.password].filter(each => each !== undefined)
  for (const secret of [...secrets, 'Wherefore art thou', 'between you and me', 'homeward 7'])
    assert.ok(!logged.includes(secret), 'a log line holds a password or the text of a message')
}
