import type { ChatFeatures, NetworkManifest, SessionFeatures } from '@spectrum/network'
import { usernamePattern } from './ids.ts'
import { MAX_TEXT_BYTES } from './privmsg.ts'
import { IrcRooms } from './rooms.ts'
import type { IrcSession } from './session.ts'

/** What is true of IRC before anybody has logged in. @param hasServers names end with the server's, as in {@link Names} */
export const manifestOf = (hasServers: boolean): NetworkManifest => ({
  // A nick must be known; a password is for those whose nick is registered with the network's services.
  registration: { isRequired: true, needsPassword: false, acceptsPassword: true, usernamePattern },
  hasRooms: true,
  hasReceipts: false,
  hasRawXml: false,
  // Rooms are #channel%server, as users of Spectrum 2 and biboumi know them. Of one server they are #channel, which may be #50%.
  ...(hasServers ? { escapesJids: false } : { escapesJids: true, keepsPercent: true }),
  roomPattern: '^[#&+!]',
  roomHint: 'IRC channels begin with #.',
})

/** Every chat on IRC can do the same: lines of text. */
export const chatFeatures: ChatFeatures = {
  revision: 'irc-1',
  text: { maxBytes: MAX_TEXT_BYTES, isMultiline: false, formatting: [] },
}

export function createFeatures(session: IrcSession): SessionFeatures {
  const base: SessionFeatures = {
    rooms: new IrcRooms(session),
    presence: { send: presence => session.setPresence(presence) },
    prompt: {
      text: session.names.hasServers
        ? 'Enter a nick and its server, as in nick%irc.example.org.'
        : 'Enter the nick of somebody on IRC.',
      label: 'Nick',
      resolve: async input =>
        session.names.parseUser(input.trim().replace(session.names.hasServers ? /%(?=[^%]*$)/ : /$^/, '@')),
    },
  }
  return session.names.hasServers ? { ...base, connections: { list: () => session.connections() } } : base
}
