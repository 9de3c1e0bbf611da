import assert from 'node:assert/strict'
import type { Case } from '../stage.ts'

/** People: the contact list, presence, authorization, blocking, cards, search. */
export const contacts: readonly Case[] = [
  {
    name: 'every kind of presence can be shown',
    needs: ({ session }) => session.presence !== undefined,
    async run(stage) {
      const { session } = await stage.me()
      for (const show of ['away', 'xa', 'dnd', 'chat', 'invisible', 'online'] as const)
        await session.features.presence?.send({ show, status: 'being tested' })
    },
  },
  {
    name: 'a contact is added, told with presence, changed, and removed',
    needs: ({ session, options }) => session.contacts !== undefined && options.onlineContact !== undefined,
    async run(stage) {
      const { session, host } = await stage.me()
      const user = stage.connector.parseUser(stage.options.onlineContact ?? '')
      const isOurs = (event: { contact: { user: string } }) => event.contact.user === user
      await session.features.contacts?.remove(user)
      await host.event('contact-removed', event => event.user === user)
      await session.features.contacts?.add({ user, name: 'A friend', groups: ['Friends'] })
      await host.event(
        'contact',
        event => isOurs(event) && event.contact.presence?.show === 'online' && event.contact.name === 'A friend',
      )
      await session.features.contacts?.update({ user, name: 'A good friend' })
      await host.event('contact', event => isOurs(event) && event.contact.name === 'A good friend')
    },
  },
  {
    name: 'who is asked for authorization may grant it',
    needs: ({ session, peerHasSession }) =>
      session.contacts !== undefined && session.authorization !== undefined && peerHasSession,
    async run(stage) {
      const [me, peer] = [await stage.me(), await stage.peer()]
      const user = stage.peerUser(peer)
      await me.session.features.contacts?.add({ user })
      const asked = await peer.login?.host.event('authorization-request')
      assert.ok(asked)
      await peer.login?.session.features.authorization?.grant(asked.user)
      await me.host.event('contact', ({ contact }) => contact.user === user && contact.subscription === 'both')
      await me.session.features.contacts?.remove(user)
    },
  },
  {
    name: 'who is blocked is not heard, and is heard again afterwards',
    needs: ({ session }) => session.blocking !== undefined,
    async run(stage) {
      const [{ session, host, account }, peer] = [await stage.me(), await stage.peer()]
      const user = stage.peerUser(peer)
      await session.features.blocking?.block(user)
      await peer.tell(account.username, 'can you hear me')
      await session.features.blocking?.unblock(user)
      await peer.tell(account.username, 'and now')
      await host.event('message', ({ text }) => text === 'and now')
      assert.ok(!host.events.some(event => event.type === 'message' && event.text === 'can you hear me'))
    },
  },
  {
    name: 'a card is fetched, and that of nobody is undefined',
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
    name: 'a prompt makes a contact of what was typed',
    needs: ({ session, options }) => session.prompt !== undefined && options.onlineContact !== undefined,
    async run(stage) {
      const { session } = await stage.me()
      const { onlineContact = '' } = stage.options
      assert.equal(await session.features.prompt?.resolve(onlineContact), stage.connector.parseUser(onlineContact))
    },
  },
  {
    name: 'commands have names that can be typed, none twice',
    needs: ({ session }) => session.commands !== undefined,
    async run(stage) {
      const names = ((await stage.me()).session.features.commands ?? []).map(({ name }) => name)
      assert.equal(new Set(names).size, names.length)
      for (const name of names) assert.match(name, /^[a-z][a-z0-9-]*$/)
    },
  },
]
