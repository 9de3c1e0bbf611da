import { type Line, tagOf } from './line.ts'

/** When the server says that the line was said (IRCv3 server-time); `undefined` without the tag, and for a time that is none. */
export function serverTimeOf(line: Line): Date | undefined {
  const time = tagOf(line, 'time')
  if (time === undefined) return undefined
  const at = new Date(time)
  return Number.isNaN(at.getTime()) ? undefined : at
}
