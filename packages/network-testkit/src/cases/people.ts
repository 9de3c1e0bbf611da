import assert from 'node:assert/strict'
import type { NetworkEvent, Show } from '@spectrum/network'
import type { Case, Stage } from '../stage.ts'
import { until } from '../until.ts'
import { isNetworkError } from './signing-in.ts'

// A network may know fewer kinds of presence; which of the others each may become.
const shownAs: Readonly<Record<Exclude<Show, 'offline'>, readonly Show[]>> = {
  online: ['online', 'chat'],
  chat: ['chat', 'online'],
  away: ['away', 'xa', 'dnd'],
  xa: ['xa', 'away', 'dnd'],
  dnd: ['dnd', 'away', 'xa'],
  invisible: ['offline', 'invisible'],
}

/** Presence, cards, search, and what else a login can do outside any chat. */
export const people: readonly Case[] = [
  {
    name: 'every kind of presence can be shown, and is seen',
    covers: ['SessionFeatures.presence.send'],
    needs: ({ session }) => session.presence !== undefined,
    async run(stage) {
      const { session, host } = await stage.me()
      const send = async (show: Show) => session.features.presence?.send({ show, status: `shown as ${show}` })
      const { login } = await stage.peer()
      if (login?.session.features.contacts === undefined) return assertWritten(stage, send)
      const mine = await stage.myUser()
      await login.session.features.contacts.add({ user: mine })
      if (session.features.authorization !== undefined) {
        const { user } = await host.event('authorization-request')
        await session.features.authorization.grant(user)
        await login.host.event('contact', ({ contact }) => contact.user === mine && contact.subscription === 'both')
      }
      const isMine = (event: NetworkEvent) => event.type === 'contact' && event.contact.user === mine
      for (const show of ['away', 'online', 'xa', 'chat', 'dnd', 'online', 'invisible', 'online'] as const) {
        await send(show)
        await until(
          () => {
            const latest = login.host.events.findLast(isMine)
            return latest?.type === 'contact' && shownAs[show].includes(latest.contact.presence?.show ?? 'offline')
          },
          () => `the peer to see ${show}; there are:\n${login.host.describe()}`,
        )
      }
      const latest = login.host.events.findLast(isMine)
      const status = latest?.type === 'contact' ? latest.contact.presence?.status : undefined
      if (status !== undefined) assert.equal(status, 'shown as online')
      await login.session.features.contacts.remove(mine)
    },
  },
  {
    name: 'a card is fetched, and that of nobody is undefined',
    covers: ['SessionFeatures.vcards.fetch'],
    needs: ({ session, options }) => session.vcards !== undefined && options.onlineContact !== undefined,
    async run(stage) {
      const { session } = await stage.me()
      const user = stage.connector.parseUser(stage.options.onlineContact ?? '')
      const card = await session.features.vcards?.fetch({ kind: 'contact', user })
      assert.ok(card !== undefined && Object.values(card).length > 0)
      const nobody = stage.connector.parseUser('nobody-of-that-name')
      assert.equal(await session.features.vcards?.fetch({ kind: 'contact', user: nobody }), undefined)
    },
  },
  {
    name: 'a card that is published is what others fetch',
    covers: ['SessionFeatures.ownVcard.publish'],
    needs: ({ session, peerHasSession }) =>
      session.ownVcard !== undefined && session.vcards !== undefined && peerHasSession,
    async run(stage) {
      const [{ session }, peer] = [await stage.me(), await stage.peerLogin()]
      const who = { kind: 'contact', user: await stage.myUser() } as const
      for (const fullName of ['Romeo Montague', 'Romeo of Verona']) {
        await session.features.ownVcard?.publish({ fullName })
        assert.equal((await peer.session.features.vcards?.fetch(who))?.fullName, fullName)
      }
    },
  },
  {
    name: 'a search finds who is looked for, and nobody else',
    covers: ['SessionFeatures.search.find'],
    needs: ({ session }) => session.search !== undefined,
    async run(stage) {
      const { search } = (await stage.me()).session.features
      const field = search?.form.fields.find(({ type }) => type === 'text')?.name
      assert.ok(search && field, 'a search asks for some text')
      const find = async (text: string) => (await search.find({ [field]: text })).map(({ user }) => user)
      const peer = await stage.peer()
      assert.ok((await find(peer.name)).includes(stage.peerUser(peer)))
      const mine = await stage.myUser()
      assert.ok(!(await find(peer.name)).includes(mine), 'found somebody whom nobody looked for')
      assert.deepEqual(await find('nobody-of-that-name'), [])
    },
  },
  {
    name: 'a prompt makes a contact of what was typed',
    covers: ['SessionFeatures.prompt.resolve'],
    needs: ({ session }) => session.prompt !== undefined,
    async run(stage) {
      const { prompt } = (await stage.me()).session.features
      assert.ok(prompt?.text && prompt.label)
      const [peer, { account }] = [await stage.peer(), await stage.me()]
      for (const name of [peer.name, account.username, ` ${peer.name} `])
        assert.equal(await prompt.resolve(name), stage.connector.parseUser(name.trim()))
      await assert.rejects(async () => prompt.resolve('x\0y'), isNetworkError)
    },
  },
  {
    name: 'commands have names that can be typed, none twice, and answer',
    covers: ['SessionFeatures.commands'],
    needs: ({ session, options }) =>
      session.commands?.every(({ name }) => options.commands?.[name] !== undefined) === true,
    async run(stage) {
      const commands = (await stage.me()).session.features.commands ?? []
      assert.equal(new Set(commands.map(({ name }) => name)).size, commands.length)
      for (const { name, run, scope, form } of commands) {
        assert.match(name, /^[a-z][a-z0-9-]*$/)
        const { values = {}, answer = /./ } = stage.options.commands?.[name] ?? {}
        for (const key of Object.keys(values)) assert.ok(form?.fields.some(field => field.name === key))
        const place = scope === 'room' ? 'room' : 'contact'
        assert.match(await (scope === 'session' ? run(values) : run(values, (await stage.meet(place)).chat)), answer)
      }
    },
  },
  {
    name: 'a stanza is passed through',
    covers: ['SessionFeatures.rawXml.send'],
    needs: ({ session, options, peerHasSession }) =>
      session.rawXml !== undefined && options.rawXml !== undefined && peerHasSession,
    async run(stage) {
      const [{ session }, peer] = [await stage.me(), await stage.peerLogin()]
      const { sent = '', heard = /./ } = stage.options.rawXml ?? {}
      await session.features.rawXml?.send(sent)
      await peer.host.event('raw-xml', ({ xml }) => heard.test(xml))
    },
  },
  {
    name: 'the connections of a session are listed, each by a name of its own',
    covers: ['SessionFeatures.connections.list'],
    needs: ({ session }) => session.connections !== undefined,
    async run(stage) {
      await stage.peerChat()
      const list = (await stage.me()).session.features.connections?.list() ?? []
      assert.equal(new Set(list.map(({ name }) => name)).size, list.length)
      assert.ok(list.some(({ isOnline }) => isOnline))
    },
  },
]

/** Where nobody has a list of contacts, presence is seen leaving for the network. */
async function assertWritten(stage: Stage, send: (show: Show) => Promise<void>): Promise<void> {
  const { host } = await stage.me()
  for (const show of ['away', 'online', 'xa', 'online', 'dnd', 'online', 'chat', 'invisible'] as const) {
    const begin = host.written.length
    await send(show)
    if (show === 'chat' || show === 'invisible') continue
    await until(
      () => (show === 'online' ? host.written.length > begin : host.written.includes(`shown as ${show}`, begin)),
      () => `presence ${show} to leave for the network`,
    )
  }
}
