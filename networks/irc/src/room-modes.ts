import type { RoomFacts } from '@spectrum/network'
import type { Isupport } from './isupport.ts'
import type { Room } from './room.ts'

/** One letter of a MODE line. */
export interface ModeChange {
  readonly mode: string
  readonly isSet: boolean
  readonly param: string | undefined
}

/** Reads `+ov-m nick nick` as the server's CHANMODES and PREFIX say. */
export function parseModes(params: readonly string[], isupport: Isupport): readonly ModeChange[] {
  const changes: ModeChange[] = []
  let isSet = true
  let next = 1
  for (const char of params[0] ?? '') {
    if (char === '+') isSet = true
    else if (char === '-') isSet = false
    else changes.push({ mode: char, isSet, param: isupport.takesParam(char, isSet) ? params[next++] : undefined })
  }
  return changes
}

/** Keeps what of the modes concerns the room itself. The key is not kept here: its owner knows it. */
export function applyRoomModes(room: Room, changes: readonly ModeChange[], isupport: Isupport): void {
  let modes = room.modes ?? ''
  for (const { mode, isSet, param } of changes) {
    if (isupport.prefixModes.includes(mode) || isupport.channelModes[0].includes(mode)) continue
    modes = modes.replace(mode, '')
    if (isSet) modes += mode
    if (mode === 'l') room.limit = isSet && param !== undefined && /^\d{1,9}$/.test(param) ? Number(param) : undefined
  }
  room.modes = modes
  const { hint } = room.view
  if (hint === undefined) return
  hint.modes = modes
  hint.limit = room.limit
}

/** For disco (XEP-0045 section 6.4). */
export function factsOf(room: Room): RoomFacts {
  const modes = room.modes ?? ''
  return {
    name: room.name,
    ...(room.topic && { description: room.topic.text }),
    isModerated: modes.includes('m'),
    isMembersOnly: modes.includes('i'),
    isPasswordProtected: modes.includes('k'),
    isHidden: modes.includes('s') || modes.includes('p'),
    ...(room.limit !== undefined && { maxOccupants: room.limit }),
  }
}
