import assert from 'node:assert/strict'
import type { Chat, RoomId, UserId } from '@spectrum/network'
import type { Case, Stage } from '../stage.ts'
import { isNetworkError } from './signing-in.ts'

// A line that begins with this on the wire would be a command that a user smuggled in.
const marker = 'INJECTED'

const hostileNames: Readonly<Record<string, string>> = {
  'a carriage return and line feed': `x\r\n${marker} :y`,
  'a line feed': `x\n${marker} :y`,
  'a carriage return': `x\r${marker} :y`,
  'a NUL': `x\0${marker}`,
  'U+0003': `x\u0003${marker}`,
  '10 kB': `${marker}${'x'.repeat(10_240)}`,
}
const spacedName = { 'a space': `x ${marker} y` }

/** Names and texts made to break out of the network's protocol. */
export const hostileInput: readonly Case[] = [
  {
    name: 'names that break protocols are refused when they are parsed',
    async run({ connector, options }) {
      for (const [what, name] of Object.entries(namesFor(options.allowsSpaces))) {
        assert.throws(() => connector.parseUser(name), isNetworkError, `a person’s name with ${what}`)
        assert.throws(() => connector.parseRoom(name), isNetworkError, `a room’s name with ${what}`)
        assert.throws(() => connector.parseUsername(name), isNetworkError, `a username with ${what}`)
      }
      for (const parse of [connector.parseUser, connector.parseRoom, connector.parseUsername])
        assert.throws(() => parse.call(connector, ''), isNetworkError, 'an empty name')
    },
  },
  {
    name: 'ids that break protocols never reach the wire, should one come through',
    async run(stage) {
      const { session } = await stage.me()
      for (const [what, name] of Object.entries(namesFor(stage.options.allowsSpaces))) {
        const chat: Chat = { kind: 'contact', user: name as UserId }
        await refuses(stage, `a message to a name with ${what}`, () =>
          session.send({ key: stage.key(), chat, text: 'hello' }),
        )
      }
      await stillWorks(stage)
    },
  },
  {
    name: 'rooms, nicks and passwords that break protocols never reach the wire',
    needs: ({ session, options }) => session.rooms !== undefined && options.room !== undefined,
    async run(stage) {
      const { account } = await stage.me()
      const rooms = await stage.rooms()
      const good = stage.connector.parseRoom(stage.newRoom())
      for (const [what, name] of Object.entries(namesFor(stage.options.allowsSpaces))) {
        await refuses(stage, `a room with ${what}`, () => rooms.join({ room: name as RoomId, nick: account.username }))
        if (rooms.changeNick !== undefined && what !== 'a space')
          await refuses(stage, `a nick with ${what}`, () => rooms.changeNick?.(good, name))
      }
      // A control character may be part of a password; the rest would break out, or never fit.
      for (const [what, password] of Object.entries(hostileNames).filter(([what]) => what !== 'U+0003')) {
        const { host } = await stage.me()
        const before = host.written.length
        await tolerates(() => rooms.join({ room: good, nick: account.username, password }))
        assert.ok(!host.written.slice(before).includes(marker), `a password with ${what} reached the wire`)
      }
      await stillWorks(stage)
    },
  },
  {
    name: 'texts that break protocols arrive as text or are refused, and are never commands',
    async run(stage) {
      const chat = await stage.peerChat()
      const { session, host } = await stage.me()
      for (const text of [
        `hello\r\n${marker} :x`,
        `hello\n${marker}`,
        `hello\r${marker}`,
        `hello\0${marker}`,
        '\u0001\u0002\u0003',
      ])
        await tolerates(() => session.send({ key: stage.key(), chat, text }))
      const { rooms } = session.features
      if (rooms !== undefined && stage.options.room !== undefined) {
        const room = await stage.enter(stage.newRoom())
        await tolerates(() => rooms.setSubject?.(room, `subject\r\n${marker} :x`))
        await tolerates(() => rooms.kick?.(room, 'nobody', `reason\r\n${marker} :x`))
        await tolerates(() => rooms.leave(room, `reason\r\n${marker} :x`))
        await host.event('room-left', event => event.room === room)
      }
      await tolerates(() => session.features.presence?.send({ show: 'away', status: `gone\r\n${marker} :x` }))
      await tolerates(() => session.features.presence?.send({ show: 'online' }))
      assertNoCommand(host.written)
      await stillWorks(stage)
    },
  },
]

const namesFor = (allowsSpaces = false) => (allowsSpaces ? hostileNames : { ...hostileNames, ...spacedName })

/** Fails with a NetworkError, at once or as a refused join, and writes nothing of it. */
async function refuses(stage: Stage, what: string, act: () => unknown): Promise<void> {
  const { host } = await stage.me()
  const before = host.events.length
  const begin = host.written.length
  const isUnwritten = () => !host.written.slice(begin).includes(marker)
  try {
    await act()
  } catch (reason) {
    isNetworkError(reason)
    assert.ok(isUnwritten(), `${what} reached the wire`)
    return
  }
  const refused = host.events.slice(before).some(event => event.type === 'room-left' && event.why.kind === 'refused')
  assert.ok(refused, `${what} was neither refused nor did it fail`)
  assert.ok(isUnwritten(), `${what} reached the wire`)
}

/** May succeed or fail, but only as a NetworkError. */
async function tolerates(act: () => unknown): Promise<void> {
  try {
    await act()
  } catch (reason) {
    isNetworkError(reason)
  }
}

function assertNoCommand(written: string): void {
  const smuggled = written.split(/[\r\n\0]/).filter(line => line.startsWith(marker))
  assert.deepEqual(smuggled, [])
}

async function stillWorks(stage: Stage): Promise<void> {
  const chat = await stage.peerChat()
  const text = `still here ${stage.key()}`
  await stage.send(chat, text)
  await stage.peerHears(text)
}
