import assert from 'node:assert/strict'
import type { NetworkEvent } from '@spectrum/network'
import type { Case, Offer } from '../stage.ts'

type ContactEvent = Extract<NetworkEvent, { type: 'contact' }>

const asks = ({ session, peerHasSession }: Offer) =>
  session.contacts !== undefined && session.authorization !== undefined && peerHasSession

/** The contact list, authorization and blocking. */
export const contacts: readonly Case[] = [
  {
    name: 'a contact is added, told with presence, changed, and removed',
    covers: ['SessionFeatures.contacts.add', 'SessionFeatures.contacts.update', 'SessionFeatures.contacts.remove'],
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
      const { contact } = host.events.findLast(event => event.type === 'contact' && isOurs(event)) as ContactEvent
      if (contact.groups !== undefined) assert.deepEqual(contact.groups, ['Friends'])
      await session.features.contacts?.update({ user, name: 'A good friend' })
      await host.event('contact', event => isOurs(event) && event.contact.name === 'A good friend')
    },
  },
  {
    name: 'who is asked for authorization may grant it',
    covers: ['SessionFeatures.authorization.grant'],
    needs: asks,
    async run(stage) {
      const [me, peer] = [await stage.me(), await stage.peer()]
      const user = stage.peerUser(peer)
      await me.session.features.contacts?.add({ user })
      const asked = await peer.login?.host.event('authorization-request')
      assert.ok(asked)
      await peer.login?.session.features.authorization?.grant(asked.user)
      await me.host.event('contact', ({ contact }) => contact.user === user && contact.subscription === 'both')
      await me.session.features.contacts?.remove(user)
      await me.host.event('contact-removed', event => event.user === user)
    },
  },
  {
    name: 'who is asked for authorization may deny it',
    covers: ['SessionFeatures.authorization.deny'],
    needs: asks,
    async run(stage) {
      const [me, peer] = [await stage.me(), await stage.peerLogin()]
      const user = stage.connector.parseUser(peer.account.username)
      const begin = me.host.events.length
      await me.session.features.contacts?.add({ user })
      const asked = await peer.host.event('authorization-request')
      await peer.session.features.authorization?.deny(asked.user)
      await me.host.event('contact-removed', event => event.user === user && me.host.events.indexOf(event) >= begin)
      const told = me.host.events.slice(begin).filter(event => event.type === 'contact' && event.contact.user === user)
      assert.ok(told.every(event => event.type === 'contact' && event.contact.subscription !== 'both'))
    },
  },
  {
    name: 'who is blocked is not heard, and is heard again afterwards',
    covers: ['SessionFeatures.blocking.block', 'SessionFeatures.blocking.unblock'],
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
]
