import type { Case, Offer, Place } from './stage.ts'

/** Everything that some case covers and this network declares, with the place for what a chat can do. */
export function declaredCapabilities(cases: readonly Case[], offer: Offer): Set<string> {
  return new Set(cases.flatMap(each => each.covers?.flatMap(name => declared(name, offer)) ?? []))
}

/** What the cases that could be run on this network have covered of it. */
export function testedCapabilities(cases: readonly Case[]): Set<string> {
  return new Set(cases.flatMap(({ covers = [], place = 'contact' }) => covers.map(name => labelled(name, place))))
}

/** The labels under which a network declares a capability: one for each kind of chat where it is one of chats. */
function declared(name: string, offer: Offer): string[] {
  const [type = '', ...path] = name.split('.')
  if (type !== 'ChatFeatures') {
    const features: unknown = type === 'Rooms' ? offer.session.rooms : offer.session
    return holds(features, path) ? [name] : []
  }
  const places = Object.entries(offer.chats) as [Place, unknown][]
  return places.flatMap(([place, features]) => (holds(features, path) ? labelled(name, place) : []))
}

function labelled(name: string, place: Place): string {
  return name.startsWith('ChatFeatures.') ? `${name} (${place})` : name
}

function holds(value: unknown, path: readonly string[]): boolean {
  let current = value
  for (const key of path) {
    if (typeof current !== 'object' || current === null) return false
    current = (current as Readonly<Record<string, unknown>>)[key]
  }
  return current !== undefined
}
