import { setTimeout as delay } from 'node:timers/promises'
import { IrcClient } from './irc-client.ts'

/** An IRC line holds 512 bytes with the sender's address: a text this long fits whoever is quoted. */
const longestText = 300
const retryMs = 500
const leaveMs = 2000

/**
 * Juliet answers who speaks in the channel, so that somebody alone there sees both directions. Whenever her connection is
 * lost she comes back. Disposing makes her leave.
 *
 * @param juliet - connected and in the channel; belongs to what is returned
 */
export function answering(juliet: IrcClient, place: { port: number; channel: string }): AsyncDisposable {
  const stop = new AbortController()
  const listening = (async () => {
    for (
      let client: IrcClient | undefined = juliet;
      !stop.signal.aborted;
      client = await comeBack(place, stop.signal)
    ) {
      await using here = client
      while (here && !here.isClosed && !stop.signal.aborted) {
        const line = await here
          .waitFor(/^:\S+ PRIVMSG #/i, { deadlineMs: 1000 })
          // Nobody spoke during this second.
          .catch(() => undefined)
        const answer = line === undefined ? undefined : answerTo(line)
        if (answer !== undefined) here.say(place.channel, answer)
      }
    }
  })()
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      // A server that is going may keep her waiting.
      await Promise.race([listening, delay(leaveMs, undefined, { ref: false })])
    },
  }
}

/** Undefined when it did not work this time, after a pause. */
async function comeBack(
  { port, channel }: { port: number; channel: string },
  signal: AbortSignal,
): Promise<IrcClient | undefined> {
  try {
    const client = await IrcClient.connect({ port, nick: 'juliet' })
    await client.join(channel)
    return client
  } catch {
    // The server is away, or still holds her old connection: both pass.
    await delay(retryMs, undefined, { signal }).catch(() => undefined)
    return undefined
  }
}

/** What she says to a line of the channel; undefined for what is not spoken, such as a CTCP question. */
export function answerTo(line: string): string | undefined {
  const [, nick, said] = /^:([^!]+)!\S+ PRIVMSG \S+ :(.*)$/.exec(line) ?? []
  if (nick === undefined || said === undefined) return undefined
  const isCtcp = said.charCodeAt(0) === 1
  const action = isCtcp ? /^.ACTION (.*)$/su.exec(said)?.[1] : said
  const plain = action?.replaceAll(/\p{Cc}/gu, '')
  return plain ? `${nick}: ${cut(plain)}${/[.!?…]$/.test(plain) ? '' : '?'} So it is on IRC, too.` : undefined
}

/** At a character, never inside one. */
function cut(text: string): string {
  let bytes = 0
  let kept = ''
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > longestText) return `${kept}…`
    kept += character
  }
  return text
}
