import {
  type Chat,
  type ChatFeatures,
  type MessageId,
  NetworkError,
  type NetworkEvent,
  type SessionFeatures,
  type UserId,
} from '@spectrum/network'
import { type Witness, witnesses } from './events.ts'
import { pageOf } from './history.ts'
import { birds, parseUser } from './ids.ts'
import { createRooms } from './rooms.ts'
import type { ParrotSession } from './session.ts'
import { vcardOf } from './vcards.ts'
import type { Said, World } from './world.ts'

export const maxBytes = 65_536
const editWindowSeconds = 3600

/** What a chat can do; the same for every chat but for what makes no sense in a room. */
export function chatFeatures(session: ParrotSession, world: World, kind: Chat['kind']): ChatFeatures {
  const tell = (chat: Chat, event: (seen: Seen) => NetworkEvent) => tellWitnesses(world, session, chat, event)
  return {
    revision: `1-${kind}`,
    text: { maxBytes, isMultiline: true, formatting: [] },
    edits: {
      windowSeconds: editWindowSeconds,
      async send(chat, target, text) {
        own(world, session, target)
        tell(chat, seen => ({ type: 'edit', ...seen, target, text }))
        return { id: target }
      },
    },
    retractions: {
      async send(chat, target, reason) {
        own(world, session, target)
        tell(chat, seen => ({ type: 'retraction', ...seen, target, ...(reason && { reason }) }))
      },
    },
    reactions: {
      maxPerUser: 3,
      async set(chat, target, emoji) {
        if (emoji.length > 3) throw new NetworkError('not-acceptable', 'Three reactions are enough.')
        known(world, target)
        tell(chat, seen => ({ type: 'reactions', ...seen, target, emoji }))
      },
    },
    replies: {},
    readMarkers: {
      everyMessage: false,
      async send(chat, upTo) {
        known(world, upTo)
        tell(chat, seen => ({ type: 'read', ...seen, upTo }))
      },
    },
    chatStates: { send: (chat, state) => tell(chat, seen => ({ type: 'chat-state', ...seen, state })) },
    // Whispers are not written down; what is said to a whole room has no single one to acknowledge it.
    ...(kind === 'occupant' ? {} : { history: { fetch: async (chat, query) => pageOf(world, session, chat, query) } }),
    ...(kind === 'room'
      ? {}
      : {
          receipts: {},
          attention: {
            async send(chat, text) {
              tell(chat, seen => ({ type: 'attention', ...seen, ...(text && { text }) }))
            },
          },
        }),
  }
}

/** What a login can do outside any chat. */
export function sessionFeatures(session: ParrotSession, world: World): SessionFeatures {
  return {
    rooms: createRooms(session, world),
    presence: { send: presence => session.show(presence) },
    contacts: {
      add: async contact => session.addContact(contact),
      update: async contact => session.updateContact(contact),
      remove: async user => session.removeContact(user),
    },
    authorization: {
      grant: async user => settle(world, session, user, true),
      deny: async user => settle(world, session, user, false),
    },
    blocking: {
      block: async user => session.block(user, true),
      unblock: async user => session.block(user, false),
    },
    vcards: { fetch: async who => vcardOf(world, who) },
    ownVcard: { publish: async vcard => session.publishVcard(vcard) },
    search: {
      form: { title: 'Find somebody', fields: [{ name: 'name', label: 'Part of the name', type: 'text' }] },
      find: async ({ name = '' }) =>
        [...birds, ...world.everybody()].filter(user => user.includes(name.toLowerCase())).map(user => ({ user })),
    },
    prompt: {
      text: 'Whom do you want to talk to? Try polly.',
      label: 'Name',
      resolve: async input => parseUser(input.trim()),
    },
    commands: [
      {
        name: 'feed',
        label: 'Feed the parrot',
        description: 'Gives Polly something to eat.',
        scope: 'session',
        form: {
          title: 'Feed the parrot',
          fields: [{ name: 'food', label: 'What', type: 'text', required: true, value: 'cracker' }],
        },
        run: async ({ food = 'cracker' }) => `Polly likes the ${food}.`,
      },
    ],
  }
}

/** Chat and doer, as the witness sees them. */
type Seen = Pick<Witness, 'chat' | 'from'>

function tellWitnesses(world: World, session: ParrotSession, chat: Chat, event: (seen: Seen) => NetworkEvent): void {
  session.requireOnline()
  for (const { to, ...seen } of witnesses(world, session, chat)) to.emit(event(seen))
}

function known(world: World, id: MessageId): Said {
  const said = world.recall(id)
  if (said === undefined) throw new NetworkError('not-found', 'The parrots do not remember that message.')
  return said
}

/** A message of one's own, recent enough to be changed. */
function own(world: World, session: ParrotSession, id: MessageId): Said {
  const said = known(world, id)
  if (said.author !== session.user) throw new NetworkError('not-allowed', 'That was somebody else.')
  if (world.clock.now() - said.at.getTime() > editWindowSeconds * 1000)
    throw new NetworkError('not-acceptable', 'That was said too long ago.')
  return said
}

function settle(world: World, session: ParrotSession, user: UserId, agreed: boolean): void {
  for (const asker of world.inhabitantsCalled(user)) asker.settle(session.user, agreed)
}
