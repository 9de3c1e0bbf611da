import assert from 'node:assert/strict'
import type { ChatFeatures } from '@spectrum/network'
import type { Case, Offer } from '../stage.ts'

const both = (feature: keyof ChatFeatures) => (offer: Offer) =>
  offer.contactChat[feature] !== undefined && offer.peerHasSession

/** What a chat can do beyond text; seen by the peer's session. */
export const extras: readonly Case[] = [
  {
    name: 'a receipt comes for a message that arrived',
    needs: ({ contactChat }) => contactChat.receipts !== undefined,
    async run(stage) {
      const chat = await stage.peerChat()
      const key = stage.key()
      await stage.send(chat, 'did you get this?', key)
      await (await stage.me()).host.event('receipt', event => event.key === key)
    },
  },
  {
    name: 'chat states arrive',
    needs: both('chatStates'),
    async run(stage) {
      const chat = await stage.peerChat()
      const [{ session }, peer] = [await stage.me(), await stage.peer()]
      for (const state of ['composing', 'paused', 'active'] as const) {
        await session.featuresOf(chat).chatStates?.send(chat, state)
        await peer.login?.host.event('chat-state', event => event.state === state)
      }
    },
  },
  {
    name: 'attention is asked for',
    needs: both('attention'),
    async run(stage) {
      const chat = await stage.peerChat()
      const [{ session }, peer] = [await stage.me(), await stage.peer()]
      await session.featuresOf(chat).attention?.send(chat, 'wake up')
      await peer.login?.host.event('attention')
    },
  },
  {
    name: 'an edit of one’s own message arrives; of a message that never was, it fails',
    needs: both('edits'),
    async run(stage) {
      const chat = await stage.peerChat()
      const [{ session }, peer] = [await stage.me(), await stage.peer()]
      const { id } = await stage.send(chat, 'a tpyo')
      assert.ok(id, 'a network with edits gives ids')
      await session.featuresOf(chat).edits?.send(chat, id, 'a typo')
      const edit = await peer.login?.host.event('edit', event => event.text === 'a typo')
      assert.equal(edit?.target, id)
      await assert.rejects(async () => session.featuresOf(chat).edits?.send(chat, 'never-was' as never, 'x'), {
        name: 'NetworkError',
      })
    },
  },
  {
    name: 'a message is taken back',
    needs: both('retractions'),
    async run(stage) {
      const chat = await stage.peerChat()
      const [{ session }, peer] = [await stage.me(), await stage.peer()]
      const { id } = await stage.send(chat, 'never mind')
      assert.ok(id, 'a network with retractions gives ids')
      await session.featuresOf(chat).retractions?.send(chat, id)
      assert.equal((await peer.login?.host.event('retraction'))?.target, id)
    },
  },
  {
    name: 'reactions arrive as a whole set, and more than allowed are refused',
    needs: both('reactions'),
    async run(stage) {
      const chat = await stage.peerChat()
      const [{ session }, peer] = [await stage.me(), await stage.peer()]
      const { reactions } = session.featuresOf(chat)
      const { id } = await stage.send(chat, 'like it?')
      assert.ok(id && reactions, 'a network with reactions gives ids')
      const [one = '👍', two = '🦜', ...more] = reactions.allowed ?? ['👍', '🦜', '🎉', '😀', '😢']
      const some = reactions.maxPerUser === 1 ? [one] : [one, two]
      await reactions.set(chat, id, some)
      assert.deepEqual((await peer.login?.host.event('reactions'))?.emoji, some)
      await reactions.set(chat, id, [])
      assert.deepEqual((await peer.login?.host.event('reactions'))?.emoji, [])
      const tooMany = [one, two, ...more]
      if (reactions.maxPerUser !== undefined && tooMany.length > reactions.maxPerUser)
        await assert.rejects(async () => reactions.set(chat, id, tooMany), { name: 'NetworkError' })
    },
  },
  {
    name: 'a read marker arrives',
    needs: both('readMarkers'),
    async run(stage) {
      const chat = await stage.peerChat()
      const [{ session, host, account }, peer] = [await stage.me(), await stage.peer()]
      await peer.tell(account.username, 'read me')
      const { id } = await host.event('message', ({ text }) => text === 'read me')
      assert.ok(id, 'a network with read markers gives ids')
      await session.featuresOf(chat).readMarkers?.send(chat, id)
      assert.equal((await peer.login?.host.event('read'))?.upTo, id)
    },
  },
  {
    name: 'a reply tells what it answers',
    needs: both('replies'),
    async run(stage) {
      const chat = await stage.peerChat()
      const [{ session, host, account }, peer] = [await stage.me(), await stage.peer()]
      await peer.tell(account.username, 'a question')
      const { id } = await host.event('message', ({ text }) => text === 'a question')
      assert.ok(id, 'a network with replies gives ids')
      await session.send({ key: stage.key(), chat, text: 'an answer', replyTo: id })
      const answer = await peer.login?.host.event('message', ({ text }) => text === 'an answer')
      assert.equal(answer?.replyTo, id)
    },
  },
  {
    name: 'history comes page by page, each oldest first, without a gap',
    needs: ({ contactChat }) => contactChat.history !== undefined,
    async run(stage) {
      const chat = await stage.peerChat()
      const { session } = await stage.me()
      for (const number of [1, 2, 3, 4, 5]) await stage.send(chat, `chapter ${number}`)
      await stage.peerHears('chapter 5')
      const { history } = session.featuresOf(chat)
      const newest = await history?.fetch(chat, { max: 2 })
      assert.deepEqual(
        newest?.messages.map(({ text }) => text),
        ['chapter 4', 'chapter 5'],
      )
      const before = newest?.before
      assert.ok(before && newest?.messages.every(({ at }) => at instanceof Date))
      const older = await history?.fetch(chat, { max: 3, before })
      assert.deepEqual(
        older?.messages.map(({ text }) => text),
        ['chapter 1', 'chapter 2', 'chapter 3'],
      )
    },
  },
]
