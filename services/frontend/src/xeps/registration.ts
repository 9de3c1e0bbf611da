// XEP-0077: In-Band Registration

import { NetworkError } from '@spectrum/network'
import { childOf, type Element, formElement, isTrue, legacyField, submittedForm, xml } from '@spectrum/xmpp'
import { type Gateway, notSupported } from '../gateway.ts'
import type { OutboundStanza } from '../outbound-stanza.ts'
import { defineXep } from '../xep.ts'

const xmlns = 'jabber:iq:register'

export const registration = defineXep({
  number: 77,
  version: '2.4',
  status: 'complete',
  announce: kind => (kind === 'gateway' ? [xmlns] : []),
  iqs: [
    { type: 'get', name: 'query', xmlns, answer: get },
    { type: 'set', name: 'query', xmlns, answer: set },
  ],
})

async function get(stanza: OutboundStanza, _query: Element, gateway: Gateway): Promise<Element> {
  refuseElsewhere(stanza)
  refuseOutsiders(stanza, gateway)
  const { username, isRegistered } = await gateway.parts.router.getRegistration({ user: stanza.user })
  const { registration: texts } = gateway.parts.config
  const rules = await passwordRules(gateway)
  return xml(
    'query',
    { xmlns },
    xml('instructions', {}, texts.instructions),
    isRegistered && xml('registered'),
    xml('username', {}, isRegistered && username),
    rules.isAccepted && xml('password'),
    formElement({
      type: 'form',
      title: 'Registration',
      instructions: texts.instructions,
      formType: xmlns,
      fields: [
        {
          name: 'username',
          type: 'text-single',
          label: texts.usernameLabel,
          isRequired: true,
          ...(isRegistered ? { values: [username] } : {}),
        },
        ...(rules.isAccepted
          ? [
              {
                name: 'password',
                type: 'text-private',
                label: rules.isNeeded ? texts.passwordLabel : `${texts.passwordLabel} (optional)`,
                isRequired: rules.isNeeded,
              } as const,
            ]
          : []),
        {
          name: 'language',
          type: 'list-single',
          label: 'Language',
          values: [texts.language],
          options: [{ value: texts.language, label: texts.language }],
        },
        ...(isRegistered
          ? [{ name: 'unregister', type: 'boolean', label: 'Remove your registration', values: ['0'] } as const]
          : []),
      ],
    }),
  )
}

async function set(stanza: OutboundStanza, query: Element, gateway: Gateway): Promise<undefined> {
  refuseElsewhere(stanza)
  const form = submittedForm(query)
  if (form?.type === 'cancel') return undefined
  if (form !== undefined && form.type !== 'submit') throw foreign()
  const field = (name: string) => form?.values.get(name)?.[0] ?? legacyField(query, name)
  if (childOf(query, 'remove', xmlns) !== undefined || isTrue(field('unregister'))) return remove(stanza, gateway)
  refuseOutsiders(stanza, gateway)
  if (form?.formType !== undefined && form.formType !== xmlns) throw foreign()
  await register(stanza, gateway, field('username')?.trim(), field('password'))
}

async function register(stanza: OutboundStanza, gateway: Gateway, username?: string, password?: string): Promise<void> {
  if (username === undefined || username === '') throw new NetworkError('not-acceptable', 'A username is needed.')
  // A client that fills the form by itself with what it knows: its own address.
  if (username === stanza.user) throw new NetworkError('not-acceptable', 'Give the username on the other network.')
  const hasPassword = password !== undefined && password !== ''
  if (!hasPassword && (await passwordRules(gateway)).isNeeded) {
    throw new NetworkError('not-acceptable', 'A password is needed.')
  }
  await gateway.parts.router.register({
    user: stanza.user,
    username,
    hasPassword,
    password: hasPassword ? gateway.parts.seal(password) : undefined,
  })
  gateway.parts.placements.forget(stanza.user)
  // XEP-0100 section 4.1.1: the gateway asks to see the user's presence, so that logging in to XMPP logs in here.
  gateway.write(xml('presence', { from: gateway.domain, to: stanza.user, type: 'subscribe' }))
}

async function remove(stanza: OutboundStanza, gateway: Gateway): Promise<undefined> {
  const { router, placements, addresses } = gateway.parts
  const { wasRegistered, contacts } = await router.unregister({ user: stanza.user })
  placements.forget(stanza.user)
  if (!wasRegistered) throw new NetworkError('not-registered', 'You are not registered.')
  const jids = contacts.map(name => addresses.bare({ name, node: '', resource: '' }))
  for (const from of [...jids, gateway.domain]) {
    if (from === undefined) continue
    for (const type of ['unsubscribe', 'unsubscribed', 'unavailable']) {
      gateway.write(xml('presence', { from, to: stanza.user, type }))
    }
  }
  return undefined
}

/** The same request to a room asks for a nick there (XEP-0045 section 7.10), or gives it up: nothing of the gateway's. */
function refuseElsewhere({ to }: OutboundStanza): void {
  if (to.name !== '' || to.resource !== '') throw notSupported('Registration with anything but the gateway itself')
}

function refuseOutsiders({ domain, user }: OutboundStanza, { parts }: Gateway): void {
  const { registration: rules, service } = parts.config
  const isListed = (list: readonly string[], jid: string) => list.some(listed => listed.toLowerCase() === jid)
  if (rules.enablePublicRegistration || isListed(service.allowedServers, domain) || isListed(service.adminJid, user))
    return
  throw new NetworkError('bad-request', 'Registration is not open to users of your server.')
}

/** Whether a password is asked for, and whether one must be given. */
async function passwordRules(gateway: Gateway): Promise<{ isAccepted: boolean; isNeeded: boolean }> {
  const manifest = await gateway.parts.manifest.within(5_000)
  const { needsPassword = true, acceptsPassword = false } = manifest?.registration ?? {}
  return { isAccepted: needsPassword || acceptsPassword, isNeeded: needsPassword }
}

const foreign = (): NetworkError => new NetworkError('bad-request', 'This form is not the registration form.')
