/**
 * Every reason of `spectrum_dropped_total`, and what it means. A reason that is not here is a code of the failure table or a
 * condition of XMPP: what was refused with an error. `npm run check` looks for reasons in the code that are missing here.
 */
export const dropReasons: Readonly<Record<string, string>> = {
  // ---- from the XMPP server
  'bounced-iq': 'An answer or question of ours came back with an error.',
  'bounced-message': 'A message that we wrote came back with an error that does not mean that its addressee is gone.',
  'bounced-presence': 'A presence that we wrote came back with an error that does not mean that its addressee is gone.',
  'resource-gone': 'What we wrote came back as its addressee is gone; the resource is signed out.',
  'resource-is-gone': 'The resource that an event was for is known to be gone.',
  'resource-may-return': 'What we wrote came back while its addressee may be about to return.',
  'resource-did-not-return': 'A resource did not return after the XMPP server was restarted; it is signed out.',
  'returned-signed-out': 'A room line was given back for a user who is signed out meanwhile.',
  'chat-state': 'A chat state where nothing takes chat states.',
  'directed-presence': 'A presence sent to a contact, who hears of the presence sent to the gateway.',
  'foreign-addressee': 'A stanza for another domain than the instance.',
  'forwarded-unreadable': 'A stanza or notification of another frontend that cannot be read.',
  'id-too-long': 'A stanza with an id that cannot be carried; answered with an error where it can be.',
  'iq-result': 'An answer to no question of this process.',
  'message-without-body': 'A message with nothing in it that a network could carry.',
  'own-stanza': 'A stanza from our own domain that nothing waits for.',
  'probe-before-login': 'A probe for the presence of a contact whose session only begins.',
  'read-too-late':
    'A presence or the like read after this process stood still, when another frontend had the component.',
  'sender-malformed': 'A stanza whose sender is no valid address: nobody can be answered.',
  'subscription-answer': 'An answer to a subscription that nobody asked for.',
  'too-deep': 'A stanza of too many levels.',
  'too-large': 'A stanza, an event or a batch beyond the limit.',
  'unknown-element': 'A stream element that is no stanza.',
  'xhtml-too-long': 'The XHTML of a message; its plain text is sent.',
  'unpublished-at-stop': 'A command that the bus did not take before the process had to stop; its sender is told.',
  'uncertain-at-stop':
    'A command that may or may not have reached the bus when the process had to stop; its sender is told.',
  failed: 'Our own fault: the log has an error for each.',
  // ---- to the XMPP server
  carbon: 'A message that the user sent by other means, and that no stanza can carry.',
  'no-jid-for-name': 'A name or nick of the network for which no JID exists.',
  'older-epoch': 'An event of a backend that another worker has taken over since.',
  'told-before': 'A line of the past that the worker which ran the backend before had told already.',
  poison: 'The XMPP server closes the stream for this stanza.',
  'not-restored': 'A room of a stored session that the network, as it is configured now, does not know.',
  'standing-by': 'An answer written when this frontend no longer holds the component.',
  'unknown-event': 'An event that this version does not know.',
  // ---- in the worker
  'backlog-full': 'An event beyond the bound on what waits for the bus.',
  duplicate: 'A command that was handed on twice and done once.',
  echo: 'The network repeats to the user what the user said.',
  'handler-failed': 'Our own fault: an item could not be handled; the log has an error for each.',
  'connection-lost': 'What had come for a room that was still being joined when the network connection ended.',
  'not-placed-here': 'A join in a session that is over here, as the user is placed elsewhere or not at all.',
  'left-before': 'News of a room that was left already.',
  'no-session': 'A command that needs a session where there is none, and that nobody misses.',
  'missed-lines-full':
    'A room line that clients missed, for newer ones: no more than 1,000 lines and 256 KiB are kept for a user, and 100 lines of a room that none of the clients is in.',
  'missed-lines-not-stored':
    'A room line that clients missed and that did not fit into the snapshot (64 KiB) from which another worker went on.',
  'not-carried': 'Something that no stanza can carry.',
  'not-for-sessions': 'A command for the backend that came to a session.',
  'not-joined': 'News of a room, or a command for one, that the user is not in.',
  'not-wanted': 'News of a room that nobody is in or waits for.',
  'nothing-to-send': 'A message without content.',
  own: 'A chat state of the user.',
  'own-nick-ghost': 'News of the ghost that has the user’s own nick for a while after a lost connection.',
  'room-not-ready': 'A room line before the room was joined; it is in the history.',
  'session-is-over': 'A command for a session that has ended.',
  'stale-connection': 'An event of a network connection that was replaced.',
  'status-cut': 'The end of a status text that is too long.',
  'without-sender': 'A room line given back that does not say which room it is of.',
  unknown: 'A command, or a receipt for a message, that nobody knows.',
  // ---- addresses that users name (kind `egress`)
  denied: 'The operator refuses this address.',
  invalid: 'What was named is no address.',
  port: 'The operator does not allow this port.',
  private: 'An address within a private, loopback or otherwise internal network.',
  // ---- on the bus
  'dead-stream-unavailable': 'A dead letter that could not be put away.',
  'doubled-batch': 'A batch that was read before.',
  'foreign-death-report': 'A report of a death by somebody who may not report it.',
  'foreign-heartbeat': 'A heartbeat in another process’s name.',
  'lane-full': 'An item for a lane with too much unpublished.',
  'notify-while-disconnected': 'A notification, which nobody waits for, without a connection.',
  permission: 'The NATS server refuses an operation.',
  'lane-share':
    'An item for a lane whose owner finishes nothing and that has filled its share of the stream: the sender is told.',
  'stream-full': 'An item for a lane whose stream takes no more: the sender is told.',
  'too-many-requests': 'A request beyond what one process answers at a time.',
  'undecodable-batch': 'A batch that cannot be read; it is a dead letter.',
  'undecodable-record': 'A record of a table that cannot be read.',
  unencodable: 'An item that cannot be written.',
  // ---- in networks/irc
  'ctcp-ignored': 'A CTCP question that is not answered.',
  'ctcp-limited': 'A CTCP question beyond the rate at which they are answered.',
  'empty-message': 'A line of nothing but formatting.',
  'history-cut': 'A channel where more was missed than is asked for; counted once for each return.',
  'history-known': 'A line of the past that was told already.',
  'history-late': 'A line of the past that came after its batch was given up.',
  'history-not-asked-for': 'A line of the past of a channel or person that nothing was asked about.',
  'history-not-wanted': 'A line of the past beyond what the client wants.',
  'history-other-line': 'A line of the past that nobody said: a join, CTCP, a notice of a server.',
  'history-overflow': 'A line of the past beyond the bounds of a batch.',
  'history-own': 'A line of the past that the user said: it was shown then.',
  'no-nick-service': 'A server without a nick service said so, asked for a nick that a ghost holds.',
  'history-refused': 'A question for the past that the IRC server refused.',
  'history-timed-out': 'A question for the past that the IRC server did not answer in 10 s.',
  'history-unfinished': 'A batch of the past that did not end in time.',
  'join-doubled': 'A JOIN of somebody who is in the channel.',
  'join-not-asked-for': 'The server joined the user to a channel that nobody wants; it is left.',
  'line-failed': 'Our own fault: a line could not be handled; the log has an error for each.',
  'line-not-sent': 'A line of our own accord that the connection did not take.',
  'line-refused': 'A line that the server refused; the sender is told.',
  'line-too-long': 'A line beyond what a server may send.',
  'malformed-line': 'A line that is no IRC.',
  'malformed-nick': 'A nick that is none.',
  'malformed-source': 'A line from nobody.',
  'malformed-batch': 'A BATCH that cannot be read.',
  'message-before-joined': 'A channel line before the channel was joined.',
  'message-for-unknown-room': 'A line of a channel that the user is not in.',
  'news-of-unknown-room': 'News of a channel that the user is not in.',
  'nick-not-regained': 'The own nick could not be taken back.',
  'too-many-servers': 'A server beyond the number of servers that one user may name.',
}

/** How serious a reason of {@link dropReasons} is. */
export type Weight = 'lost' | 'fault' | 'full' | 'hostile' | 'past' | 'told' | 'ordinary'

/** What each weight means for the operator, the most serious first. */
export const weights: Readonly<Record<Weight, string>> = {
  lost: 'A user misses something and is not told.',
  fault: 'Our own fault, or that of the set-up: the log of that time says more.',
  full: 'A limit of the bus or of memory is reached; senders are told. More workers, or `nats.stream_bytes`.',
  hostile: 'What no honest user, server or process of ours sends. Refused as it should be; in numbers, somebody tries.',
  past: 'Of what was said while a user was away, more than is kept or could be had: the user reads less of it.',
  told: 'Refused, and the sender was told where there is one to tell.',
  ordinary: 'Part of the work: what needs no telling, or was told already. Its numbers mean nothing.',
}

/** All that are not listed are ordinary. */
const serious: Readonly<Record<Exclude<Weight, 'ordinary'>, readonly string[]>> = {
  lost: ['backlog-full', 'bounced-message', 'no-jid-for-name', 'not-restored', 'without-sender'],
  fault: [
    ...['failed', 'handler-failed', 'line-failed', 'forwarded-unreadable', 'unknown-event', 'permission'],
    ...['undecodable-batch', 'undecodable-record', 'unencodable', 'dead-stream-unavailable', 'foreign-addressee'],
  ],
  full: ['lane-full', 'lane-share', 'stream-full', 'too-many-requests'],
  hostile: [
    ...['poison', 'too-deep', 'sender-malformed', 'unknown-element', 'foreign-heartbeat', 'foreign-death-report'],
    ...['denied', 'invalid', 'port', 'private', 'too-many-servers', 'ctcp-limited'],
    ...['line-too-long', 'malformed-line', 'malformed-nick', 'malformed-source', 'malformed-batch'],
  ],
  past: [
    'connection-lost',
    ...['missed-lines-full', 'missed-lines-not-stored'],
    ...[
      'history-cut',
      'history-late',
      'history-overflow',
      'history-refused',
      'history-timed-out',
      'history-unfinished',
    ],
  ],
  told: ['read-too-late', 'too-large', 'id-too-long', 'unpublished-at-stop', 'uncertain-at-stop', 'line-refused'],
}

/** The reasons of one weight, in the order of {@link dropReasons}. */
export function reasonsOf(weight: Weight): string[] {
  const weightOf = (reason: string) =>
    (Object.keys(serious) as (keyof typeof serious)[]).find(key => serious[key].includes(reason)) ?? 'ordinary'
  return Object.keys(dropReasons).filter(reason => weightOf(reason) === weight)
}

/** Every reason of `spectrum_redelivered_total`: none of them is a loss. */
export const redeliveryReasons: Readonly<Record<string, string>> = {
  uncertain:
    'Kind `event`, of the frontend: private lines that the XMPP server confirmed in the last 0.3 s before it lost their reader or ended, told again after its restart, with the same id.',
  'stream-lost':
    'Kind `stanza`, of the frontend: written to a stream that ended before the XMPP server confirmed it, and written again to the next. So many stanzas at most came twice.',
  duplicate:
    'Of the worker: a command that was read a second time, after a crash of the frontend or worker that had it, and is not sent to the network again.',
  'not-recorded':
    'Kind `bus`: read again, as its reader died before it had recorded how far it was (50 ms, 200 ms for some sessions).',
}
