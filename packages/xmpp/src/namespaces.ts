/** Namespaces that more than one protocol here speaks of. */
export const namespaces = {
  component: 'jabber:component:accept',
  streams: 'http://etherx.jabber.org/streams',
  stanzas: 'urn:ietf:params:xml:ns:xmpp-stanzas',
  dataForms: 'jabber:x:data',
  ping: 'urn:xmpp:ping',
} as const
