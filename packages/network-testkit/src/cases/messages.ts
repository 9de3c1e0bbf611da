import assert from 'node:assert/strict'
import type { Chat } from '@spectrum/network'
import type { Case, Stage } from '../stage.ts'
import { until } from '../until.ts'
import { isNetworkError } from './signing-in.ts'

const lines = 100
const numbered = (word: string) => Array.from({ length: lines }, (_, index) => `${word} ${index + 1}`)

/** Messages to and from one person. */
export const messages: readonly Case[] = [
  {
    name: 'a message arrives, and an answer comes back from the one who gave it',
    async run(stage) {
      const chat = await stage.peerChat()
      const [me, peer] = [await stage.me(), await stage.peer()]
      await stage.send(chat, 'Wherefore art thou?')
      await stage.peerHears('Wherefore art thou?')
      await peer.tell(me.account.username, 'Here, as ever.')
      const answer = await me.host.event('message', event => event.text === 'Here, as ever.')
      assert.ok(answer.from.self !== true, 'told as if the user had said it')
      assert.equal(answer.from.user, chat.user)
      assert.ok(isFrom(answer.chat, stage, peer.nick), JSON.stringify(answer.chat))
    },
  },
  {
    name: `${lines} messages keep their order, none lost, none doubled`,
    async run(stage) {
      const chat = await stage.peerChat()
      const peer = await stage.peer()
      const sent = numbered('outward')
      for (const text of sent) await stage.send(chat, text)
      await stage.peerHears(`outward ${lines}`)
      const heard = peer.heard().filter(line => line.room === undefined && line.text.startsWith('outward '))
      assert.deepEqual(
        heard.map(({ text }) => text),
        sent,
      )
    },
  },
  {
    name: `${lines} messages from the other side keep their order, none lost, none doubled`,
    async run(stage) {
      await stage.peerChat()
      const [{ host, account }, peer] = [await stage.me(), await stage.peer()]
      const said = numbered('homeward')
      for (const text of said) await peer.tell(account.username, text)
      await host.event('message', event => event.text === `homeward ${lines}`)
      const heard = host.events.flatMap(event =>
        event.type === 'message' && event.text.startsWith('homeward ') ? event.text : [],
      )
      assert.deepEqual(heard, said)
    },
  },
  {
    name: 'a text of several lines arrives whole',
    covers: ['ChatFeatures.text'],
    async run(stage) {
      const chat = await stage.peerChat()
      const peer = await stage.peer()
      await stage.send(chat, 'line one of many\nline two of many\n\nline four of many')
      const heard = () =>
        peer
          .heard()
          .map(({ text }) => text)
          .join('\n')
      await until(
        () => heard().includes('line four of many'),
        () => `all lines; heard ${JSON.stringify(heard().slice(-400))}`,
      )
      assert.match(heard(), /line one of many\n+line two of many\n+line four of many/)
    },
  },
  {
    name: 'a text longer than the network says it takes is refused',
    covers: ['ChatFeatures.text'],
    needs: ({ chats }) => chats.contact.text.maxBytes !== undefined,
    async run(stage) {
      const chat = await stage.peerChat()
      const { maxBytes = 0 } = (await stage.me()).session.featuresOf(chat).text
      await assert.rejects(async () => stage.send(chat, 'x'.repeat(maxBytes + 1)), isNetworkError)
    },
  },
  {
    name: 'text beyond ASCII arrives unchanged',
    async run(stage) {
      const chat = await stage.peerChat()
      const text = 'Ünïcödé, ελληνικά, 日本語, 🦜'
      await stage.send(chat, text)
      await stage.peerHears(text)
    },
  },
  {
    name: 'ids of sent messages differ, and the features of a chat are the same when asked twice',
    covers: ['ChatFeatures.revision'],
    async run(stage) {
      const chat = await stage.peerChat()
      const { session } = await stage.me()
      const first = await stage.send(chat, 'one id')
      const second = await stage.send(chat, 'another id')
      if (first.id !== undefined) assert.notEqual(first.id, second.id)
      assert.equal(session.featuresOf(chat).revision, session.featuresOf(chat).revision)
    },
  },
  {
    name: 'what the user says on another device is told as the user’s own',
    needs: ({ options }) => options.hasManyDevices === true,
    async run(stage) {
      const chat = await stage.peerChat()
      const { host } = await stage.me()
      const other = await stage.start(stage.options.account, stage.connector, 'another-device').online()
      await other.session.send({ key: stage.key(), chat, text: 'said on the telephone' })
      const event = await host.event('message', ({ text }) => text === 'said on the telephone')
      assert.equal(event.from.self, true)
      assert.deepEqual(event.chat, chat)
      await other.stop()
    },
  },
]

function isFrom(chat: Chat, stage: Stage, nick: string): boolean {
  if (chat.kind === 'contact') return chat.user === stage.connector.parseUser(nick)
  return chat.kind === 'occupant' && chat.nick === nick
}
