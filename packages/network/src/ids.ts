declare const brand: unique symbol
type Id<Name extends string> = string & { readonly [brand]: Name }

/** One user's account on the network, as the gateway names it. Unique in an instance; opaque to networks. */
export type LoginId = Id<'LoginId'>
/** A person on the network in the network's own canonical spelling. Only the network may look inside. */
export type UserId = Id<'UserId'>
/** A group chat in the network's own canonical spelling (IRC: `#channel`, case-mapped). Only the network may look inside. */
export type RoomId = Id<'RoomId'>
/** A message as the network names it, or as the gateway names it where the network has no ids. */
export type MessageId = Id<'MessageId'>

/** Where a message goes to or comes from. */
export type Chat =
  /** One to one with a person. */
  | { readonly kind: 'contact'; readonly user: UserId }
  /** Everybody in a room. */
  | { readonly kind: 'room'; readonly room: RoomId }
  /** One occupant of a room, in private. `nick` is what the room calls that person now. */
  | { readonly kind: 'occupant'; readonly room: RoomId; readonly nick: string }
