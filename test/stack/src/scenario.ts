import { after, test } from 'node:test'
import type { Element } from 'ltx'
import { type Topology, topologies } from './environment.ts'
import type { Gateway } from './gateway.ts'
import { IrcClient } from './irc-client.ts'
import { type Stack, type StackOptions, startStack } from './stack.ts'
import { type Pattern, xml } from './xml.ts'
import { XmppClient } from './xmpp-client.ts'

/** What a scenario needs beyond the defaults. */
export interface ScenarioOptions
  extends Pick<
    StackOptions,
    'irc' | 'network' | 'cfg' | 'isOpen' | 'prosodySecret' | 'conflictResolve' | 'isImpatient'
  > {
  /** Whether romeo and juliet are registered and online at the gateway when it begins; true by default. */
  readonly isRegistered?: boolean
  /** Starts a system for this scenario alone, because it leaves it changed or asks for one that differs. */
  readonly isAlone?: boolean
  /** How long it may take, 60 s by default. */
  readonly timeoutMs?: number
}

/** Who and what takes part in a scenario. */
export interface Scene {
  readonly topology: Topology
  /** XMPP users with accounts made for this scenario, online at their server. */
  readonly romeo: Person
  readonly juliet: Person
  /** A plain IRC client that is connected to the IRC server: the observer, and the other side of dialogues. */
  readonly irc: IrcClient
  /** The gateway's JID. */
  readonly jid: string
  readonly gateway: Gateway
  readonly stack: Stack
  /** A channel name of this scenario's own: `#balcony-3`. */
  channel(name?: string): string
  /** The JID of a channel or nick at the gateway. */
  at(name: string): string
  /** Connects another IRC client, gone with the scenario. */
  connectIrc(nick?: string): Promise<IrcClient>
  /** Adds another XMPP user, gone with the scenario. */
  person(name: string): Promise<Person>
}

/** An XMPP user with one resource online, and more on demand. */
export class Person implements AsyncDisposable {
  readonly name: string
  readonly nick: string
  readonly #scene: { stack: Stack; password: string }
  readonly #clients: XmppClient[] = []

  constructor(name: string, scene: { stack: Stack; password: string }) {
    this.name = name
    // Also the name on the network: letters and digits are allowed everywhere.
    this.nick = name
    this.#scene = scene
  }

  /** The client of the first resource. */
  get client(): XmppClient {
    const [client] = this.#clients
    if (client === undefined) throw new Error(`${this.name} is not connected`)
    return client
  }

  get jid(): string {
    return this.client.jid
  }

  get bareJid(): string {
    return this.client.bareJid
  }

  /** Connects one more resource; the first call is the main one. It sends `<presence/>` to its own server only. */
  async connect(resource?: string): Promise<XmppClient> {
    const { stack, password } = this.#scene
    const client = await XmppClient.connect({
      port: stack.prosody.clientPort,
      domain: stack.prosody.domain,
      name: this.name,
      password,
      ...(resource === undefined ? {} : { resource }),
    })
    this.#clients.push(client)
    return client
  }

  /** Sends XML from the first resource. */
  async sends(text: string): Promise<void> {
    this.client.sends(text)
  }

  /** Waits for a stanza at the first resource. */
  receives(pattern: Pattern, options?: { deadlineMs?: number }): Promise<Element> {
    return this.client.receives(pattern, options)
  }

  /** Waits for stanzas in this order at the first resource. */
  receivesInOrder(patterns: readonly Pattern[], options?: { deadlineMs?: number }): Promise<Element[]> {
    return this.client.receivesInOrder(patterns, options)
  }

  /** Registers with the gateway (XEP-0077) under the own name. */
  async registers(fields: { username?: string; password?: string } = {}): Promise<void> {
    const { username = this.nick, password = '' } = fields
    const answer = await this.client.request(
      'set',
      this.#scene.stack.jid,
      xml`<query xmlns="jabber:iq:register"><username>${username}</username><password>${password}</password></query>`,
    )
    if (answer.attrs.type !== 'result') throw new Error(`${this.name} was not registered: ${answer}`)
  }

  /** Sends presence to the gateway, and waits until it is online there. */
  async logsIn(client: XmppClient = this.client): Promise<void> {
    const { jid } = this.#scene.stack
    client.sends(xml`<presence to="${jid}"/>`)
    await client.receives(
      stanza => stanza.getName() === 'presence' && bare(stanza.attrs.from) === jid && stanza.attrs.type === undefined,
      { deadlineMs: 30_000 },
    )
  }

  /** Joins a room and waits for the own presence and the subject that end the entry (XEP-0045 section 7.2.2). */
  async joins(room: string, options: { nick?: string; client?: XmppClient; password?: string } = {}): Promise<void> {
    const { nick = this.nick, client = this.client, password } = options
    const key = password === undefined ? '' : xml`<password>${password}</password>`
    client.sends(
      `${xml`<presence to="${`${room}/${nick}`}">`}<x xmlns="http://jabber.org/protocol/muc">${key}</x></presence>`,
    )
    const isOwn = (stanza: Element) =>
      stanza
        .getChild('x')
        ?.getChildren('status')
        .some(({ attrs }) => attrs.code === '110')
    await client.receives(
      stanza => stanza.getName() === 'presence' && bare(stanza.attrs.from) === room && isOwn(stanza) === true,
      { deadlineMs: 30_000 },
    )
    await client.receives(
      stanza =>
        stanza.getName() === 'message' && bare(stanza.attrs.from) === room && stanza.getChild('subject') !== undefined,
      { deadlineMs: 30_000 },
    )
  }

  /** Says something in a room. */
  async says(room: string, text: string, id = `m${Math.random().toString(36).slice(2)}`): Promise<string> {
    this.client.sends(xml`<message to="${room}" type="groupchat" id="${id}"><body>${text}</body></message>`)
    return id
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#clients.map(client => client[Symbol.asyncDispose]()))
  }
}

function bare(jid: string | undefined): string | undefined {
  return jid?.split('/', 1)[0]
}

const stacks = new Map<string, Promise<Stack>>()
let scenes = 0

let isEndAwaited = false

/** Once in a file of scenarios, and never in a program that uses something else of this package: it would become a test run. */
function disposeAfterwards(): void {
  if (isEndAwaited) return
  isEndAwaited = true
  after(async () => {
    for (const stack of stacks.values())
      await stack.then(
        running => running[Symbol.asyncDispose](),
        () => undefined,
      )
  })
}

/**
 * Declares a dialogue with the whole system as a test, once for each topology. Scenarios of one file with the same
 * options share a running system; each gets users, nicks and channels of its own.
 *
 * ```ts
 * scenario('a line reaches IRC', async ({ romeo, irc, channel, at }) => {
 *   const balcony = channel('balcony')
 *   await irc.join(balcony)
 *   await romeo.joins(at(balcony))
 *   await romeo.says(at(balcony), 'hello')
 *   await irc.waitFor(/PRIVMSG \S+ :hello/)
 * })
 * ```
 */
export function scenario(name: string, play: (scene: Scene) => Promise<void>): void
export function scenario(name: string, options: ScenarioOptions, play: (scene: Scene) => Promise<void>): void
export function scenario(
  name: string,
  ...rest: [(scene: Scene) => Promise<void>] | [ScenarioOptions, (scene: Scene) => Promise<void>]
): void {
  disposeAfterwards()
  const [options, play] = rest.length === 1 ? [{}, rest[0]] : rest
  for (const topology of topologies())
    test(`${name} (${topology})`, { timeout: options.timeoutMs ?? 60_000 }, () => perform(topology, options, play))
}

async function perform(
  topology: Topology,
  options: ScenarioOptions,
  play: (scene: Scene) => Promise<void>,
): Promise<void> {
  await using resources = new AsyncDisposableStack()
  const stack = options.isAlone
    ? resources.use(await startStack({ ...options, topology }))
    : await sharedStack({ ...options, topology })
  const number = ++scenes
  const person = async (name: string) => {
    const unique = `${name}${number}`
    const password = `${unique}-password`
    await stack.prosody.addUser(unique, password)
    const person = resources.use(new Person(unique, { stack, password }))
    await person.connect()
    return person
  }
  const connectIrc = async (nick = 'mercutio') => {
    const { host, port } = stack.ircServer
    return resources.use(await IrcClient.connect({ host, port, nick: `${nick}${number}` }))
  }
  const [romeo, juliet, irc] = await Promise.all([person('romeo'), person('juliet'), connectIrc()])
  const { jid, gateway } = stack
  const scene: Scene = {
    ...{ topology, romeo, juliet, irc, jid, gateway, stack, person, connectIrc },
    channel: (name = 'room') => `#${name}-${number}`,
    at: name => `${name}@${jid}`,
  }
  if (options.isRegistered ?? true)
    for (const user of [romeo, juliet]) {
      await user.registers()
      await user.logsIn()
    }
  try {
    await play(scene)
  } catch (error) {
    // Without what the services said, a failure in a build log tells little.
    if (error instanceof Error) error.message += `\n${lastLines(stack)}`
    throw error
  }
}

function sharedStack(options: StackOptions): Promise<Stack> {
  const { topology, irc, network, cfg, isOpen, prosodySecret, conflictResolve, isImpatient } = options
  const key = JSON.stringify([topology, irc, network, cfg, isOpen, prosodySecret, conflictResolve, isImpatient])
  let stack = stacks.get(key)
  if (stack === undefined) {
    stack = startStack(options)
    stacks.set(key, stack)
  }
  return stack
}

function lastLines(stack: Stack): string {
  return stack.gateway.processes.map(({ name, child }) => `── ${name}\n${child.lines.slice(-15).join('\n')}`).join('\n')
}
