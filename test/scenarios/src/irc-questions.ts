import { type IrcClient, waitUntil } from '@spectrum/stack'

/** All lines that answer one WHOIS. */
export async function whois(irc: IrcClient, nick: string): Promise<string[]> {
  const from = irc.lines.length
  irc.send(`WHOIS ${nick}`)
  const answer = () => irc.lines.slice(from)
  await waitUntil(() => answer().some(line => / (318|401|431) /.test(line)), {
    describe: () => `WHOIS ${nick} is not answered:\n${answer().join('\n')}`,
  })
  return answer()
}

/** Whether somebody of that nick is connected to the IRC server. */
export async function isOnIrc(irc: IrcClient, nick: string): Promise<boolean> {
  return (await whois(irc, nick)).some(line => / 311 /.test(line))
}

/** Waits until nobody of that nick is connected any more. */
export async function goneFromIrc(irc: IrcClient, nick: string): Promise<void> {
  await waitUntil(async () => !(await isOnIrc(irc, nick)), { describe: () => `${nick} is still on IRC` })
}

/** The lines by which somebody came to, or went from, where the observer is. */
export function comingsAndGoings(irc: IrcClient, nick: string, from = 0): string[] {
  return irc.lines.slice(from).filter(line => new RegExp(`^:${nick}!\\S* (JOIN|PART|QUIT|NICK|KICK) `).test(line))
}
