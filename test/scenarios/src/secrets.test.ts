import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Scene, type Stack, scenario, xml } from '@spectrum/stack'

// Long and strange, so that no hit is a coincidence.
const account = 'Zx7-account-passphrase-Qv93kP'
const key = 'Zx7-channel-key-Lm41tR'
const register = (scene: Scene, username: string) =>
  scene.romeo.client.request(
    'set',
    scene.jid,
    xml`<query xmlns="jabber:iq:register"><username>${username}</username><password>${account}</password></query>`,
  )

scenario(
  'no secret is found in NATS, database, logs or process arguments',
  { isRegistered: false, timeoutMs: 120_000 },
  async scene => {
    const { romeo, irc, stack, gateway, connectIrc, channel, at } = scene
    // The nick service of this network.
    irc.send('NICK NickServ')
    await irc.waitFor(/ NICK :?NickServ/)
    const answer = await register(scene, romeo.nick)
    assert.equal(answer.attrs.type, 'result', String(answer))
    const owner = await connectIrc('owner')
    const vault = channel('vault')
    await owner.join(vault)
    owner.send(`MODE ${vault} +k ${key}`)
    await owner.waitFor(new RegExp(` MODE ${vault} \\+k`))

    await romeo.logsIn()
    // The secret did travel: otherwise it would be no wonder that it is nowhere.
    await irc.waitFor(new RegExp(`^:${romeo.nick}!\\S* PRIVMSG NickServ :identify ${account}$`), { deadlineMs: 30_000 })
    await romeo.joins(at(vault), { password: key })
    await romeo.says(at(vault), 'open sesame')
    await owner.waitFor(/ PRIVMSG \S+ :open sesame$/)
    const phone = await romeo.connect('phone')
    await romeo.joins(at(vault), { password: key, client: phone })

    // A worker that takes over needs both again, from where they are kept.
    for (const worker of gateway.workers) {
      await worker.hold()
      await worker.resume()
    }
    await owner.waitFor(new RegExp(`^:${romeo.nick}!\\S* JOIN`), { deadlineMs: 60_000 })
    // A password that does not fit, too: refusals are where secrets like to be quoted.
    await romeo.joins(at(channel('other')))
    await register(scene, 'no nick')

    assert.deepEqual(await findings(stack, { account, key, component: stack.secret }), [])
    // What is no secret is found: the search does look where things are kept.
    const open = (await findings(stack, { user: romeo.bareJid, room: vault })).join('\n')
    assert.match(open, /user as text in .*(database|postgres)/)
    assert.match(open, /room as text in .*nats/)
  },
)

scenario(
  'nor when the password is sent as that of the server',
  // ngIRCd refuses a password that it did not ask for.
  { isRegistered: false, irc: 'inspircd', cfg: '[service]\nirc_send_pass = 1', timeoutMs: 120_000 },
  async scene => {
    const { romeo, irc, stack, channel, at } = scene
    assert.equal((await register(scene, romeo.nick)).attrs.type, 'result')
    const balcony = channel('balcony')
    await irc.join(balcony)
    await romeo.joins(at(balcony))
    assert.deepEqual(await findings(stack, { account, component: stack.secret }), [])
  },
)

/** Where a secret was found, in the clear or in an encoding that hides nothing. */
async function findings(stack: Stack, secrets: Record<string, string>): Promise<string[]> {
  const found: string[] = []
  const search = (where: string, bytes: Buffer) => {
    for (const [name, secret] of Object.entries(secrets))
      for (const [form, text] of Object.entries(formsOf(secret)))
        if (bytes.includes(text)) found.push(`${name} as ${form} in ${where}`)
  }
  const files = [...(await filesBelow(stack.nats.storeDir)), ...(await databaseFiles(stack))]
  assert.ok(files.length > 5, files.join())
  for (const file of files) search(file, await readFile(file).catch(() => Buffer.alloc(0)))
  search('the logs', Buffer.from(stack.log))
  search('the log of NATS', Buffer.from(stack.nats.log))
  const pids = [...stack.gateway.processes.map(({ pid }) => pid), stack.nats.pid]
  for (const pid of pids) {
    const line = await readFile(`/proc/${pid}/cmdline`)
    assert.ok(line.length > 0)
    search(`the arguments of ${pid}`, line)
  }
  for (const process of stack.gateway.processes)
    search(`metrics of ${process.name}`, Buffer.from(await process.metrics()))
  return found
}

/** The spellings of a secret that are as good as the secret. */
function formsOf(secret: string): Record<string, string | Buffer> {
  const bytes = Buffer.from(secret)
  // Base64 of a longer text looks different at each of three offsets; the last characters depend on what follows.
  const shifted = [0, 1, 2].map(offset => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64')
    return text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6))
  })
  return {
    text: bytes,
    'reversed text': Buffer.from(bytes).reverse(),
    hex: bytes.toString('hex'),
    'upper-case hex': bytes.toString('hex').toUpperCase(),
    ...Object.fromEntries(shifted.map((text, offset) => [`base64 at ${offset}`, text])),
    'UTF-16': Buffer.from(secret, 'utf16le'),
  }
}

/** The SQLite files, or all that PostgreSQL keeps: tables, write-ahead log and all. */
async function databaseFiles(stack: Stack): Promise<string[]> {
  if (stack.postgres) {
    await stack.postgres.query(stack.database, 'checkpoint')
    const files = await filesBelow(join(stack.postgres.dir, 'data'))
    return files.filter(file => !/\/(pg_notify|pg_stat|postmaster)/.test(file))
  }
  const folder = join(stack.database, '..')
  return filesBelow(folder)
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}
