import { randomBytes } from 'node:crypto'
import { IrcClient } from './irc-client.ts'
import { freePort, isFree } from './ports.ts'
import { type Stack, startStack } from './stack.ts'
import { readable, say, stopRequests } from './terminal.ts'
import { xml } from './xml.ts'
import { XmppClient } from './xmpp-client.ts'

const channel = '#balcony'

/**
 * Starts a whole world on loopback: an XMPP server, an IRC server, the bus and the gateway between them. Carries a message
 * each way, prints both with the time they took, and stays up until it is told to stop. Nothing is kept.
 */
export async function runPlayground(): Promise<void> {
  const requests = stopRequests()
  const stopping = new AbortController()
  requests.first.then(() => stopping.abort())
  say('Starting Prosody (XMPP), ngIRCd (IRC), nats-server and the gateway on 127.0.0.1 …')
  const begun = performance.now()
  try {
    await using stack = await startStack({
      topology: 'single',
      clientPort: await preferably(5222),
      ircPort: await preferably(6667),
      signal: stopping.signal,
      onLine: (process, line) => {
        const text = readable(process.name, line, 'warn')
        if (text !== undefined) say(text)
      },
      onEvent: say,
    })
    const { jid, prosody } = stack
    process.stdout.write(
      `ready: ${jid} is connected to 127.0.0.1:${prosody.componentPort} after ${seconds(performance.now() - begun)}\n`,
    )
    await using world = await inhabit(stack)
    explain(stack, world.password)
    await requests.first
    say('Stopping')
  } catch (error) {
    if (!stopping.signal.aborted) throw error
  }
}

/** Romeo on XMPP and Juliet on IRC, who have just spoken to each other through the gateway. */
async function inhabit(stack: Stack): Promise<AsyncDisposable & { password: string }> {
  await using resources = new AsyncDisposableStack()
  const { jid, prosody, ircServer } = stack
  const password = randomBytes(6).toString('hex')
  await prosody.addUser('romeo', password)
  const juliet = resources.use(await IrcClient.connect({ port: ircServer.port, nick: 'juliet' }))
  await juliet.join(channel)
  const login = { port: prosody.clientPort, domain: prosody.domain, name: 'romeo', password }
  const romeo = resources.use(await XmppClient.connect({ ...login, resource: 'playground' }))
  const room = `${channel}@${jid}`

  const registered = await romeo.request(
    'set',
    jid,
    xml`<query xmlns="jabber:iq:register"><username>${'romeo'}</username><password/></query>`,
  )
  if (registered.attrs.type !== 'result') throw new Error(`romeo could not register with ${jid}: ${registered}`)
  process.stdout.write(`romeo@${prosody.domain} is registered with ${jid}\n`)
  romeo.sends(xml`<presence to="${jid}"/>`)
  romeo.sends(xml`<presence to="${`${room}/romeo`}"><x xmlns="http://jabber.org/protocol/muc"/></presence>`)
  await romeo.receives(xml`<message type="groupchat"><subject/></message>`, { deadlineMs: 30_000 })
  process.stdout.write(`romeo has joined ${room}\n`)

  let sent = performance.now()
  romeo.sends(xml`<message to="${room}" type="groupchat"><body>Call me but love</body></message>`)
  await juliet.waitFor(/^:romeo!\S+ PRIVMSG #balcony :Call me but love/i)
  process.stdout.write(`XMPP → IRC: juliet read "Call me but love" after ${milliseconds(sent)}\n`)
  sent = performance.now()
  juliet.say(channel, 'What man art thou')
  await romeo.receives(
    xml`<message type="groupchat" from="${`${room}/juliet`}"><body>What man art thou</body></message>`,
  )
  process.stdout.write(`IRC → XMPP: romeo read "What man art thou" after ${milliseconds(sent)}\n`)

  resources.use(answering(juliet))
  const left = resources.move()
  return { password, [Symbol.asyncDispose]: () => left.disposeAsync() }
}

/** Juliet answers who speaks in the channel, so that somebody alone there sees both directions. */
function answering(juliet: IrcClient): AsyncDisposable {
  const stop = new AbortController()
  const listening = (async () => {
    while (!stop.signal.aborted) {
      const line = await juliet
        .waitFor(/^:\S+ PRIVMSG #balcony /i, { deadlineMs: 1000 })
        // Nobody spoke during this second.
        .catch(() => undefined)
      const [, nick, text] = /^:([^!]+)!\S+ PRIVMSG \S+ :(.*)$/.exec(line ?? '') ?? []
      if (nick !== undefined && text !== undefined) juliet.say(channel, `${nick}: ${text}? So it is on IRC, too.`)
    }
  })()
  return {
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await listening
    },
  }
}

function explain({ jid, prosody, ircServer, gateway }: Stack, password: string): void {
  const [frontend] = gateway.frontends
  process.stdout.write(`
Join with clients of your own (nothing here is encrypted, and all of it listens on 127.0.0.1 only):

  XMPP   account romeo@${prosody.domain}, password ${password}, server 127.0.0.1 port ${prosody.clientPort}, TLS off
         for example: profanity, then  /connect romeo@${prosody.domain} server 127.0.0.1 port ${prosody.clientPort} tls disable
         then join the room  ${channel}@${jid}  (juliet is there and answers)
         another nick NAME on the IRC server is the contact  NAME@${jid}
  IRC    server 127.0.0.1 port ${ircServer.port}, any nick, TLS off; then  /join ${channel}
  Look   http://127.0.0.1:${frontend?.httpPort}/metrics

Ctrl-C stops everything and leaves nothing behind.
`)
}

/** The port by which people know the protocol, when nobody uses it. */
async function preferably(port: number): Promise<number> {
  return (await isFree(port)) ? port : freePort()
}

function milliseconds(since: number): string {
  return `${(performance.now() - since).toFixed(1)} ms`
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`
}
