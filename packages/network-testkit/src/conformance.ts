import assert from 'node:assert/strict'
import { test } from 'node:test'
import { declaredCapabilities, testedCapabilities } from './capabilities.ts'
import { cases } from './cases/index.ts'
import type { ConformanceOptions } from './options.ts'
import { type Case, type Offer, Stage } from './stage.ts'
import { patienceMs, setPatience } from './until.ts'

/**
 * Registers one test of `node:test` in which a network is held to its interface. It signs in, reads what the session
 * offers, and runs the cases that belong to it, each as a subtest; what is not offered is not run, and said so. What is
 * declared but could not be tested, for want of an option, is a failure.
 * `options` may be a function, so that a server can be started first; the caller stops it afterwards.
 */
export function conformance(
  name: string,
  options: ConformanceOptions | (() => Promise<ConformanceOptions> | ConformanceOptions),
): void {
  test(`conformance: ${name}`, async context => {
    const stage = new Stage(typeof options === 'function' ? await options() : options)
    setPatience(stage.options.patienceMs ?? patienceMs)
    const tested: Case[] = []
    try {
      const offer = await offerOf(stage)
      for (const each of cases) {
        if (each.needs?.(offer) ?? true) {
          tested.push(each)
          await context.test(each.name, () => each.run(stage))
        } else context.diagnostic(`not offered: ${each.name}`)
      }
      await context.test('every capability that the network declares was tested', () => assertTested(tested, offer))
      await context.test('logs hold no password and no message', () => assertDiscreet(stage))
    } finally {
      await stage.close()
    }
  })
}

async function offerOf(stage: Stage): Promise<Offer> {
  const { session, account } = await stage.me()
  const user = stage.connector.parseUser(account.username)
  const hasRooms = stage.options.room !== undefined && session.features.rooms !== undefined
  const room = hasRooms ? stage.connector.parseRoom(stage.newRoom()) : undefined
  return {
    options: stage.options,
    session: session.features,
    chats: {
      contact: session.featuresOf({ kind: 'contact', user }),
      ...(room !== undefined && {
        room: session.featuresOf({ kind: 'room', room }),
        occupant: session.featuresOf({ kind: 'occupant', room, nick: account.username }),
      }),
    },
    peerHasSession: (await stage.peer()).login !== undefined,
  }
}

function assertTested(tested: readonly Case[], offer: Offer): void {
  const covered = testedCapabilities(tested)
  const elsewhere = new Set(offer.options.testedElsewhere)
  const missing = [...declaredCapabilities(cases, offer)].filter(name => !covered.has(name) && !elsewhere.has(name))
  assert.deepEqual(missing, [], 'declared, but no case could test it; see ConformanceOptions')
}

function assertDiscreet({ hosts, options }: Stage): void {
  const logged = JSON.stringify(hosts.map(host => host.logged))
  const secrets = [options.account.password, options.peerAccount?.password].filter(each => each !== undefined)
  for (const secret of [...secrets, 'Wherefore art thou', 'between you and me', 'homeward 7'])
    assert.ok(!logged.includes(secret), 'a log line holds a password or the text of a message')
}
