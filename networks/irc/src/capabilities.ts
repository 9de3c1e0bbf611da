/** IRCv3 capabilities that are asked for where a server offers them; all are cheap and none is needed. */
export const capabilities: readonly string[] = [
  'multi-prefix',
  'userhost-in-names',
  'extended-join',
  'account-notify',
  'away-notify',
  'server-time',
  'message-tags',
  'batch',
  'draft/chathistory',
  'chathistory',
  // Else servers tell joins of the past as if a person had said them.
  'draft/event-playback',
  'event-playback',
]
