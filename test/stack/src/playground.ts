import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { IrcClient } from './irc-client.ts'
import { answering } from './juliet.ts'
import { freePort, isFree } from './ports.ts'
import { type Stack, startStack } from './stack.ts'
import { keepRunning } from './supervisor.ts'
import { say, severeLines, stopRequests } from './terminal.ts'
import { xml } from './xml.ts'
import { XmppClient } from './xmpp-client.ts'

const channel = '#balcony'
/** How long the end may take before it is forced. */
const patienceMs = 5000

/** On the XMPP server. */
interface Account {
  readonly name: string
  readonly password: string
}

/**
 * Starts a whole world on loopback: an XMPP server, an IRC server, the bus and the gateway between them. Carries a message
 * each way, prints both with the time they took, and stays up until it is told to stop. Nothing is kept.
 */
export async function runPlayground(): Promise<void> {
  const requests = stopRequests()
  const stopping = new AbortController()
  requests.first.then(() => stopping.abort())
  // What breaks while everything ends is of no use to anybody.
  const tell = (text: string) => !stopping.signal.aborted && say(text)
  const severe = severeLines()
  say('Starting Prosody (XMPP), ngIRCd (IRC), nats-server and the gateway on 127.0.0.1 …')
  const begun = performance.now()
  await using resources = new AsyncDisposableStack()
  let stack: Stack | undefined
  try {
    stack = resources.use(
      await startStack({
        topology: 'single',
        clientPort: await preferably(5222),
        ircPort: await preferably(6667),
        signal: stopping.signal,
        onLine: (process, line) => {
          const text = severe(process.name, line)
          if (text !== undefined) tell(text)
        },
        onEvent: tell,
      }),
    )
    const { jid, prosody, ircServer, nats } = stack
    const children = [prosody, ircServer, nats].map(({ child }) => child)
    const kept = children.map(child => keepRunning(child, { signal: stopping.signal, onEvent: tell }))
    resources.defer(async () => {
      stopping.abort()
      await Promise.all(kept)
    })
    process.stdout.write(
      `ready: ${jid} is connected to 127.0.0.1:${prosody.componentPort} after ${seconds(performance.now() - begun)}\n`,
    )
    const world = resources.use(await inhabit(stack))
    explain(stack, world.accounts)
    await requests.first
    say('Stopping')
  } catch (error) {
    if (!stopping.signal.aborted) throw error
  }
  await endSoon(resources, stack, requests.impatience)
}

/** Nothing is kept, so nothing is worth waiting for: what has not ended in order after a few seconds is killed. */
async function endSoon(
  resources: AsyncDisposableStack,
  stack: Stack | undefined,
  impatience: Promise<void>,
): Promise<void> {
  const ended = resources.disposeAsync()
  await Promise.race([ended, impatience, delay(patienceMs, undefined, { ref: false })])
  await Promise.all(stack?.gateway.processes.map(({ child }) => child.kill('SIGKILL')) ?? [])
  await ended
}

/** Romeo on XMPP and Juliet on IRC, who have just spoken to each other through the gateway. */
async function inhabit(stack: Stack): Promise<AsyncDisposable & { accounts: readonly Account[] }> {
  await using resources = new AsyncDisposableStack()
  const { jid, prosody, ircServer } = stack
  const accounts = ['romeo', 'mercutio'].map(name => ({ name, password: randomBytes(6).toString('hex') }))
  for (const { name, password } of accounts) await prosody.addUser(name, password)
  const password = accounts[0]?.password ?? ''
  const juliet = await IrcClient.connect({ port: ircServer.port, nick: 'juliet' })
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

  resources.use(answering(juliet, { port: ircServer.port, channel }))
  const left = resources.move()
  return { accounts, [Symbol.asyncDispose]: () => left.disposeAsync() }
}

function explain({ jid, prosody, ircServer, gateway }: Stack, [romeo, mercutio]: readonly Account[]): void {
  const pages = gateway.processes.map(({ service, httpPort }) => `http://127.0.0.1:${httpPort}/metrics (${service})`)
  process.stdout.write(`
Join with clients of your own (nothing here is encrypted, and all of it listens on 127.0.0.1 only):

  XMPP   account romeo@${prosody.domain}, password ${romeo?.password}, server 127.0.0.1 port ${prosody.clientPort}, TLS off
         for example: profanity, then  /connect romeo@${prosody.domain} server 127.0.0.1 port ${prosody.clientPort} tls disable
         then join the room  ${channel}@${jid}  (juliet is there and answers)
         another nick NAME on the IRC server is the contact  NAME@${jid}
         a second account: mercutio@${prosody.domain}, password ${mercutio?.password}; he has yet to register with ${jid}
  IRC    server 127.0.0.1 port ${ircServer.port}, any nick, TLS off; then  /join ${channel}
  Look   ${pages.join('\n         ')}

Kill any process: it is started again. Ctrl-C stops everything and leaves nothing behind: accounts and passwords are new
at each start.
`)
}

/** The port by which people know the protocol; when somebody uses it, another, which is told. */
async function preferably(port: number): Promise<number> {
  if (await isFree(port)) return port
  const other = await freePort()
  say(`Port ${port} is in use by another program: ${other} is used instead`)
  return other
}

function milliseconds(since: number): string {
  return `${(performance.now() - since).toFixed(1)} ms`
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`
}
