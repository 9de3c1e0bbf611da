import assert from 'node:assert/strict'
import type { Chat, ChatFeatures, NetworkEvent } from '@spectrum/network'
import type { Case, Offer, Place, Stage } from '../stage.ts'
import { isNetworkError } from './signing-in.ts'

const where = { contact: '', room: 'in a room: ', occupant: 'to an occupant: ' } as const

/** What a chat can do beyond text, in each kind of chat; seen by the peer's session. */
export const extras: readonly Case[] = (['contact', 'room', 'occupant'] as const).flatMap(place =>
  casesIn(place).map(each => ({ ...each, place, name: where[place] + each.name })),
)

function casesIn(place: Place): readonly Case[] {
  const offers = (feature: keyof ChatFeatures) => (offer: Offer) =>
    offer.chats[place]?.[feature] !== undefined && offer.peerHasSession
  const meet = async (stage: Stage) => {
    const { chat, peerSays } = await stage.meet(place)
    const [me, peer] = [await stage.me(), await stage.peerLogin()]
    return { chat, peerSays, me, peer, features: me.session.featuresOf(chat) }
  }
  /** Another's message, as the tested session received it. */
  const fromPeer = async ({ peerSays, me }: Awaited<ReturnType<typeof meet>>, text: string) => {
    await peerSays(text)
    const { id } = await me.host.event('message', event => event.text === text)
    assert.ok(id, 'a network with such features gives ids')
    return id
  }
  const sentId = async (stage: Stage, { chat }: Awaited<ReturnType<typeof meet>>, text: string) => {
    const { id } = await stage.send(chat, text)
    assert.ok(id, 'a network with such features gives ids')
    return id
  }
  const isSeenRight = (event: NetworkEvent & { chat: { kind: Place }; from: { self?: boolean } }) => {
    assert.equal(event.chat.kind === 'room', place === 'room', 'told of another kind of chat')
    assert.notEqual(event.from.self, true, 'told as if the other side had done it')
  }

  return [
    {
      name: 'a receipt comes for a message that arrived',
      covers: ['ChatFeatures.receipts'],
      needs: offer => offer.chats[place]?.receipts !== undefined,
      async run(stage) {
        const { chat } = await stage.meet(place)
        const key = stage.key()
        await stage.send(chat, 'did you get this?', key)
        await (await stage.me()).host.event('receipt', event => event.key === key)
      },
    },
    {
      name: 'chat states arrive',
      covers: ['ChatFeatures.chatStates.send'],
      needs: offers('chatStates'),
      async run(stage) {
        const { chat, features, peer } = await meet(stage)
        for (const state of ['composing', 'paused', 'active'] as const) {
          await features.chatStates?.send(chat, state)
          isSeenRight(await peer.host.event('chat-state', event => event.state === state))
        }
      },
    },
    {
      name: 'attention is asked for',
      covers: ['ChatFeatures.attention.send'],
      needs: offers('attention'),
      async run(stage) {
        const { chat, features, peer } = await meet(stage)
        await features.attention?.send(chat, 'wake up')
        isSeenRight(await peer.host.event('attention', ({ text }) => text === undefined || text === 'wake up'))
      },
    },
    {
      name: 'an edit of one’s own message arrives; of another’s, or one that never was, it fails',
      covers: ['ChatFeatures.edits.send'],
      needs: offers('edits'),
      async run(stage) {
        const met = await meet(stage)
        const { chat, features, peer } = met
        const id = await sentId(stage, met, 'a tpyo')
        await features.edits?.send(chat, id, 'a typo')
        const edit = await peer.host.event('edit', event => event.text === 'a typo')
        assert.equal(edit.target, id)
        isSeenRight(edit)
        for (const target of [await fromPeer(met, 'my own words'), 'never-was' as never])
          await assert.rejects(async () => features.edits?.send(chat, target, 'put into their mouth'), isNetworkError)
        assert.ok(!peer.host.events.some(event => event.type === 'edit' && event.text === 'put into their mouth'))
      },
    },
    {
      name: 'a message of one’s own is taken back, none of another by one without rank',
      covers: ['ChatFeatures.retractions.send'],
      needs: offers('retractions'),
      async run(stage) {
        const met = await meet(stage)
        const { chat, features, me, peer } = met
        const id = await sentId(stage, met, 'never mind')
        await features.retractions?.send(chat, id)
        const retraction = await peer.host.event('retraction', event => event.target === id)
        isSeenRight(retraction)
        const other = await sentId(stage, met, 'not yours to take back')
        const theirs: Chat =
          chat.kind === 'contact'
            ? { kind: 'contact', user: await stage.myUser() }
            : chat.kind === 'room'
              ? chat
              : { ...chat, nick: me.account.username }
        const { retractions } = peer.session.featuresOf(theirs)
        await assert.rejects(async () => retractions?.send(theirs, other), isNetworkError)
        assert.ok(!me.host.events.some(event => event.type === 'retraction' && event.target === other))
      },
    },
    {
      name: 'reactions arrive as a whole set, and more than allowed are refused',
      covers: ['ChatFeatures.reactions.set'],
      needs: offers('reactions'),
      async run(stage) {
        const met = await meet(stage)
        const { chat, features, peer } = met
        const { reactions } = features
        const id = await sentId(stage, met, 'like it?')
        assert.ok(reactions)
        const [one = '👍', two = '🦜', ...more] = reactions.allowed ?? ['👍', '🦜', '🎉', '😀', '😢']
        const some = reactions.maxPerUser === 1 ? [one] : [one, two]
        const isIt = (event: { target: string }) => event.target === id
        await reactions.set(chat, id, some)
        assert.deepEqual((await peer.host.event('reactions', isIt)).emoji, some)
        await reactions.set(chat, id, [])
        assert.deepEqual((await peer.host.event('reactions', isIt)).emoji, [])
        const tooMany = [one, two, ...more]
        if (reactions.maxPerUser !== undefined && tooMany.length > reactions.maxPerUser)
          await assert.rejects(async () => reactions.set(chat, id, tooMany), isNetworkError)
        await assert.rejects(async () => reactions.set(chat, 'never-was' as never, some), isNetworkError)
      },
    },
    {
      name: 'a read marker arrives',
      covers: ['ChatFeatures.readMarkers.send'],
      needs: offers('readMarkers'),
      async run(stage) {
        const met = await meet(stage)
        const id = await fromPeer(met, 'read me')
        await met.features.readMarkers?.send(met.chat, id)
        isSeenRight(await met.peer.host.event('read', event => event.upTo === id))
      },
    },
    {
      name: 'a reply tells what it answers',
      covers: ['ChatFeatures.replies'],
      needs: offers('replies'),
      async run(stage) {
        const met = await meet(stage)
        const id = await fromPeer(met, 'a question')
        await met.me.session.send({ key: stage.key(), chat: met.chat, text: 'an answer', replyTo: id })
        const answer = await met.peer.host.event('message', event => event.text === 'an answer')
        assert.equal(answer.replyTo, id)
      },
    },
    {
      name: 'a file arrives as a link',
      covers: ['ChatFeatures.files.send'],
      needs: offer => offers('files')(offer) && offer.options.file !== undefined,
      async run(stage) {
        const { chat, features, peer } = await meet(stage)
        const { file } = stage.options
        assert.ok(file)
        await features.files?.send({ key: stage.key(), chat, ...file })
        await peer.host.event(
          'message',
          ({ attachments = [], text }) => attachments.length > 0 || text.includes(file.url.href),
        )
      },
    },
    {
      name: 'history comes page by page, each oldest first, without a gap, and from where it is wanted',
      covers: ['ChatFeatures.history.fetch'],
      needs: offer => offer.chats[place]?.history !== undefined,
      async run(stage) {
        const { chat } = await stage.meet(place)
        const { session } = await stage.me()
        for (const number of [1, 2, 3, 4, 5]) await stage.send(chat, `chapter ${number}`)
        const { history } = session.featuresOf(chat)
        assert.ok(history)
        const texts = (page: { messages: readonly { text: string }[] }) => page.messages.map(({ text }) => text)
        const newest = await history.fetch(chat, { max: 2 })
        assert.deepEqual(texts(newest), ['chapter 4', 'chapter 5'])
        const { before } = newest
        assert.ok(before && newest.messages.every(({ at }) => at instanceof Date))
        const older = await history.fetch(chat, { max: 3, before })
        assert.deepEqual(texts(older), ['chapter 1', 'chapter 2', 'chapter 3'])
        const after = older.messages[1]?.id
        assert.ok(after, 'history gives ids')
        assert.deepEqual(texts(await history.fetch(chat, { max: 9, after })), ['chapter 3', 'chapter 4', 'chapter 5'])
        const since = new Date((newest.messages[1]?.at?.getTime() ?? 0) + 1)
        assert.deepEqual(texts(await history.fetch(chat, { max: 9, since })), [])
      },
    },
  ]
}
