import assert from 'node:assert/strict'
import { failures } from '@spectrum/network'
import type { Case } from '../stage.ts'
import { within } from '../until.ts'

/** Connecting, being refused, and the end of {@link Session.run}. */
export const signingIn: readonly Case[] = [
  {
    name: 'signs in: connecting, then online, and tells nothing but notices before',
    async run(stage) {
      await stage.signOut()
      const { host } = await stage.me()
      assert.deepEqual(host.states, ['connecting', 'online'])
      assert.deepEqual(host.tooEarly, [])
    },
  },
  {
    name: 'run() fulfils after sign-out, and a method called then fails as a NetworkError',
    async run(stage) {
      const me = await stage.me()
      stage.forgetMe()
      assert.equal(await me.stop(), undefined)
      const { account, connector } = { account: stage.options.account, connector: stage.connector }
      const chat = { kind: 'contact', user: connector.parseUser(account.username) } as const
      await assert.rejects(
        async () => me.session.send({ key: stage.key(), chat, text: 'anybody there?' }),
        isNetworkError,
      )
    },
  },
  {
    name: 'run() fulfils when it is aborted while it connects',
    async run(stage) {
      await stage.signOut()
      assert.equal(await stage.start(stage.options.account).stop(), undefined)
    },
  },
  {
    name: 'send() before run() fails as a NetworkError',
    async run(stage) {
      const { connector, options } = stage
      const login = { id: 'early' as never, account: options.account, contacts: [] }
      const session = connector.open(login, stage.newHost())
      const chat = { kind: 'contact', user: connector.parseUser(options.account.username) } as const
      await assert.rejects(async () => session.send({ key: stage.key(), chat, text: 'too early' }), isNetworkError)
    },
  },
  {
    name: 'wrong credentials end run() with an error that asks the user to sign in',
    needs: ({ options }) => options.wrongAccount !== undefined,
    async run(stage) {
      const { wrongAccount } = stage.options
      assert.ok(wrongAccount)
      const attempt = stage.start(wrongAccount)
      const error = await within(attempt.over, 'run() to reject')
      assert.ok(error, 'run() fulfilled')
      assert.equal(failures[error.code].recovery, 'sign-in', error.code)
      assert.ok(!attempt.host.states.includes('online'), 'told online all the same')
    },
  },
  {
    name: 'a network that cannot be reached ends run() with an error that allows to retry',
    needs: ({ options }) => options.unreachableConfig !== undefined,
    async run(stage) {
      const { unreachableConfig, account } = stage.options
      assert.ok(unreachableConfig)
      const error = await within(stage.start(account, stage.connectorFor(unreachableConfig)).over, 'run() to reject')
      assert.ok(error, 'run() fulfilled')
      assert.equal(failures[error.code].recovery, 'retry', error.code)
    },
  },
]

/** For assert.rejects and assert.throws: a NetworkError with a code of the table. */
export function isNetworkError(reason: unknown): true {
  assert.ok(reason instanceof Error && reason.name === 'NetworkError', `not a NetworkError: ${String(reason)}`)
  assert.ok('code' in reason && Object.hasOwn(failures, String(reason.code)))
  return true
}
