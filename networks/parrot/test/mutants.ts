/** One promise that a parrot breaks: a change of its source, and the case of the suite that must notice. */
export interface Mutant {
  readonly does: string
  readonly file: string
  readonly find: string
  readonly replace: string
  readonly noticedBy: string
}

const mutant = (does: string, file: string, find: string, replace: string, noticedBy: string): Mutant => ({
  does,
  file,
  find,
  replace,
  noticedBy,
})

const presence = 'every kind of presence can be shown, and is seen'
const contact = 'a contact is added, told with presence, changed, and removed'
const blocked = 'who is blocked is not heard, and is heard again afterwards'
const edited = 'an edit of one’s own message arrives; of another’s, or one that never was, it fails'
const retracted = 'a message of one’s own is taken back, none of another by one without rank'
const reacted = 'reactions arrive as a whole set, and more than allowed are refused'
const history = 'history comes page by page, each oldest first, without a gap, and from where it is wanted'
const ranks = 'one without rank neither kicks nor gives roles nor affiliations'
const banned = 'who is banned is out, and does not come back'
const listed = 'the list of rooms has the one that somebody is in, page by page'
const created = 'a room is created, and those who shall be members are asked in'
const destroyed = 'a room is taken down by its owner, and by nobody else'
const configured = 'what the owner sets up is read back and told to all; nobody else sets up anything'
const password = 'a room with a password lets in who has it; an invitation brings it along'
const never = 'async () => undefined'

const features: readonly Mutant[] = [
  mutant(
    'shows no presence',
    'features.ts',
    'send: presence => session.show(presence)',
    'send: () => undefined',
    presence,
  ),
  mutant(
    'adds no contact',
    'features.ts',
    'add: async contact => session.addContact(contact)',
    `add: ${never}`,
    contact,
  ),
  mutant('changes no contact', 'features.ts', 'async contact => session.updateContact(contact)', never, contact),
  mutant(
    'removes no contact',
    'features.ts',
    'remove: async user => session.removeContact(user)',
    `remove: ${never}`,
    contact,
  ),
  mutant(
    'grants nothing',
    'features.ts',
    'async user => settle(world, session, user, true)',
    never,
    'who is asked for authorization may grant it',
  ),
  mutant(
    'denies nothing',
    'features.ts',
    'async user => settle(world, session, user, false)',
    never,
    'who is asked for authorization may deny it',
  ),
  mutant(
    'grants what is denied',
    'features.ts',
    'session, user, false)',
    'session, user, true)',
    'who is asked for authorization may deny it',
  ),
  mutant('blocks nobody', 'features.ts', 'async user => session.block(user, true)', never, blocked),
  mutant('unblocks nobody', 'features.ts', 'async user => session.block(user, false)', never, blocked),
  mutant(
    'fetches no card',
    'features.ts',
    'async who => vcardOf(world, who)',
    never,
    'a card is fetched, and that of nobody is undefined',
  ),
  mutant(
    'publishes no card',
    'features.ts',
    'async vcard => session.publishVcard(vcard)',
    never,
    'a card that is published is what others fetch',
  ),
  mutant(
    'finds everybody',
    'features.ts',
    'user.includes(name.toLowerCase())',
    'true',
    'a search finds who is looked for, and nobody else',
  ),
  mutant(
    'finds nobody',
    'features.ts',
    'user.includes(name.toLowerCase())',
    'false',
    'a search finds who is looked for, and nobody else',
  ),
  mutant(
    'resolves every prompt to polly',
    'features.ts',
    'parseUser(input.trim())',
    "parseUser('polly')",
    'a prompt makes a contact of what was typed',
  ),
  mutant(
    'feeds crackers alone',
    'features.ts',
    "run: async ({ food = 'cracker' }) =>",
    "run: async ({ drink: food = 'cracker' }) =>",
    'commands have names that can be typed, none twice, and answer',
  ),
  mutant(
    'says no chat state',
    'features.ts',
    'send: (chat, state) => tell(',
    'send: (chat, state) => void (',
    'chat states arrive',
  ),
  mutant(
    'marks nothing as read',
    'features.ts',
    "tell(chat, seen => ({ type: 'read', ...seen, upTo }))",
    'void chat',
    'a read marker arrives',
  ),
  mutant(
    'asks for no attention',
    'features.ts',
    "tell(chat, seen => ({ type: 'attention', ...seen, ...(text && { text }) }))",
    'void chat',
    'attention is asked for',
  ),
  mutant(
    'tells no edit',
    'features.ts',
    "tell(chat, seen => ({ type: 'edit', ...seen, target, text }))",
    'void chat',
    edited,
  ),
  mutant('lets others edit', 'features.ts', 'own(world, session, target)', 'known(world, target)', edited),
  mutant(
    'tells no retraction',
    'features.ts',
    "tell(chat, seen => ({ type: 'retraction', ...seen, target, ...(reason && { reason }) }))",
    'void chat',
    retracted,
  ),
  mutant(
    'lets others retract',
    'features.ts',
    "own(world, session, target)\n        tell(chat, seen => ({ type: 'retraction'",
    "known(world, target)\n        tell(chat, seen => ({ type: 'retraction'",
    retracted,
  ),
  mutant('takes any number of reactions', 'features.ts', 'if (emoji.length > 3) throw', 'if (false) throw', reacted),
  mutant('reacts to what never was', 'features.ts', 'known(world, target)\n        tell', 'tell', reacted),
  mutant(
    'gives no receipt',
    'session.ts',
    "this.emit({ type: 'receipt', chat, key })",
    'void key',
    'a receipt comes for a message that arrived',
  ),
  mutant(
    'forgets what is answered',
    'session.ts',
    '...(replyTo && { replyTo })',
    '...{}',
    'a reply tells what it answers',
  ),
  mutant(
    'takes any length',
    'session.ts',
    'Buffer.byteLength(text) > maxBytes',
    'false',
    'a text longer than the network says it takes is refused',
  ),
  mutant('forgets where history ends', 'history.ts', 'before === undefined ?', 'true ?', history),
  mutant('forgets where history begins', 'history.ts', 'after === undefined ?', 'true ?', history),
  mutant('forgets since when', 'history.ts', 'since === undefined || at >= since', 'true', history),
]

const rooms: readonly Mutant[] = [
  mutant(
    'sets no subject',
    'rooms.ts',
    'room.subject = subject',
    '',
    'a subject that is set is told to all, and remembered',
  ),
  mutant(
    'tells no subject',
    'rooms.ts',
    'room.tell(() => subjectOf(room, subject))',
    '',
    'a subject that is set is told to all, and remembered',
  ),
  mutant(
    'lets visitors set subjects',
    'rooms.ts',
    "if (me.role === 'visitor') throw",
    'if (false) throw',
    'a visitor sets no subject and is not heard',
  ),
  mutant(
    'lets visitors speak',
    'session.ts',
    "if (chat.kind === 'room' && role === 'visitor')",
    'if (false)',
    'a visitor sets no subject and is not heard',
  ),
  mutant(
    'changes no nick',
    'rooms.ts',
    'room.rename(me, nick)',
    '',
    'a nick is changed, and changed back; everybody is told by which it was',
  ),
  mutant('lets everybody kick', 'rooms.ts', "if (me.role !== 'moderator') throw", 'if (false) throw', ranks),
  mutant('gives no role', 'rooms.ts', 'other.role = role', '', 'a role is given and seen'),
  mutant(
    'gives no affiliation',
    'rooms.ts',
    'room.affiliations.set(user, affiliation)',
    '',
    'an affiliation is given and taken, and seen',
  ),
  mutant(
    'lets everybody give affiliations',
    'rooms.ts',
    "if (!['owner', 'admin'].includes(room.affiliationOf(session.user)))",
    'if (false)',
    ranks,
  ),
  mutant(
    'lets the banned in',
    'room.ts',
    "if (this.affiliations.get(inhabitant.user) === 'outcast')",
    'if (false)',
    banned,
  ),
  mutant(
    'lists all affiliations',
    'rooms.ts',
    '.filter(([, held]) => held === affiliation)',
    '',
    'each list of affiliations has those who hold it, and nobody else',
  ),
  mutant(
    'invites nobody',
    'rooms.ts',
    'for (const guest of guests)\n',
    'for (const guest of guests.slice(guests.length))\n',
    'an invitation arrives',
  ),
  mutant(
    'keeps the password to itself',
    'rooms.ts',
    '...(room.password && { password: room.password }),',
    '',
    password,
  ),
  mutant('takes any password', 'room.ts', 'opensByPassword && password !== this.password', 'false', password),
  mutant(
    'declines nothing',
    'rooms.ts',
    "room(id).tell(() => ({ type: 'room-notice', room: id, text }))",
    'room(id)',
    'an invitation that is declined is told to those who wait',
  ),
  mutant(
    'lists what does not match',
    'rooms.ts',
    '.filter(({ id }) => pattern === undefined || id.includes(pattern))',
    '',
    listed,
  ),
  mutant('lists rooms as empty', 'rooms.ts', 'occupants: members.length,', 'occupants: 0,', listed),
  mutant(
    'lists one page',
    'rooms.ts',
    '...(found.length > max && last !== undefined ? { next: last.id } : {}),',
    '',
    listed,
  ),
  mutant('lists longer pages than asked for', 'rooms.ts', 'found.slice(0, max)', 'found', listed),
  mutant('asks no members in', 'rooms.ts', 'for (const user of members) await this.invite?.(id, user)', '', created),
  mutant(
    'creates nothing',
    'rooms.ts',
    'enter(session, world, { room: id, nick: session.user }, session.user)',
    '',
    created,
  ),
  mutant(
    'lets everybody destroy',
    'rooms.ts',
    "destroy(id, reason) {\n      const { room } = inside(id)\n      if (room.affiliationOf(session.user) !== 'owner')",
    'destroy(id, reason) {\n      const { room } = inside(id)\n      if (false)',
    destroyed,
  ),
  mutant(
    'destroys nothing',
    'rooms.ts',
    'for (const member of [...room.members].filter(',
    'for (const member of [].filter(',
    destroyed,
  ),
  mutant('writes no configuration', 'rooms.ts', 'writeConfiguration(room, values)\n', '\n', configured),
  mutant(
    'lets everybody configure',
    'rooms.ts',
    "const { room } = inside(id)\n        if (room.affiliationOf(session.user) !== 'owner')",
    'const { room } = inside(id)\n        if (false)',
    configured,
  ),
  mutant(
    'tells nobody of the configuration',
    'room-configuration.ts',
    "room.tell(() => ({ type: 'room-facts', room: id, facts }))",
    'void facts',
    configured,
  ),
]

/** Every promise that a parrot can break by one change of its source. */
export const mutants: readonly Mutant[] = [...features, ...rooms]
