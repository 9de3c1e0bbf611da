import assert from 'node:assert/strict'
import { type Person, scenario, waitUntil, xml } from '@spectrum/stack'
import { errorOf, messageOf } from './muc.ts'

const muc = 'http://jabber.org/protocol/muc'

/** Tries to join and returns the error presence, which must have the id of the join. */
async function refusal(person: Person, jid: string, extra = '', deadlineMs = 30_000) {
  const id = `join${Math.random().toString(36).slice(2)}`
  await person.sends(`${xml`<presence to="${jid}" id="${id}">`}<x xmlns="${muc}">${extra}</x></presence>`)
  const error = await person.receives(stanza => stanza.is('presence') && stanza.attrs.id === id, { deadlineMs })
  assert.equal(error.attrs.type, 'error', String(error))
  return error
}

scenario('a room with a key lets in only those who have it', async ({ romeo, irc, channel, at }) => {
  const vault = channel('vault')
  const room = at(vault)
  await irc.join(vault)
  irc.send(`MODE ${vault} +k sesame`)
  await irc.waitFor(new RegExp(` MODE ${vault} \\+k`))
  assert.equal(errorOf(await refusal(romeo, `${room}/${romeo.nick}`)), 'auth/not-authorized')
  const wrong = await refusal(romeo, `${room}/${romeo.nick}`, '<password>wrong</password>')
  assert.equal(errorOf(wrong), 'auth/not-authorized')
  assert.equal(wrong.attrs.from, `${room}/${romeo.nick}`)
  await romeo.joins(room, { password: 'sesame' })
})

scenario('who is banned, not invited, or comes to a full room, is told which', async ({ romeo, irc, channel, at }) => {
  const closed: [string, string][] = [
    [`+b ${romeo.nick}!*@*`, 'auth/forbidden'],
    ['+i', 'auth/registration-required'],
    ['+l 1', 'wait/service-unavailable'],
  ]
  for (const [index, [mode, expected]] of closed.entries()) {
    const room = channel(`closed${index}`)
    await irc.join(room)
    irc.send(`MODE ${room} ${mode}`)
    await irc.waitFor(new RegExp(` MODE ${room} \\${mode.slice(0, 2)}`))
    assert.equal(errorOf(await refusal(romeo, `${at(room)}/${romeo.nick}`)), expected, mode)
  }
  // None of it cost the connection.
  const open = channel('open')
  await irc.join(open)
  await romeo.joins(at(open))
})

scenario('what cannot be a room or a nick is refused at once', async ({ romeo, channel, at }) => {
  assert.equal(errorOf(await refusal(romeo, `${at('#two\\20words')}/${romeo.nick}`)), 'modify/jid-malformed')
  assert.equal(errorOf(await refusal(romeo, `${at('#a,#b')}/${romeo.nick}`)), 'modify/jid-malformed')
  assert.equal(errorOf(await refusal(romeo, at(channel('balcony')))), 'modify/jid-malformed')
})

scenario('saying something in a room that one is not in is refused', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('balcony')
  await irc.join(balcony)
  await romeo.says(at(balcony), 'hello?', 'm1')
  const refused = await romeo.receives(messageOf(at(balcony), { type: 'error', id: 'm1' }))
  assert.equal(errorOf(refused), 'modify/not-acceptable')
  assert.equal(refused.attrs.type, 'error')
})

scenario('where one may not speak, what one says comes back', async ({ romeo, irc, channel, at }) => {
  const court = channel('court')
  await irc.join(court)
  await romeo.joins(at(court))
  irc.send(`MODE ${court} +m`)
  await irc.waitFor(new RegExp(` MODE ${court} \\+m`))
  await romeo.says(at(court), 'may I?', 'm1')
  const refused = await romeo.receives(messageOf(at(court), { type: 'error', id: 'm1' }))
  assert.equal(errorOf(refused), 'auth/forbidden')
  assert.notEqual(refused.getChild('error')?.getChildText('text') ?? '', '')
})

scenario(
  'while the IRC server cannot be reached every join is answered within 30 s, and the next one after works',
  { isRegistered: false, isAlone: true, timeoutMs: 180_000 },
  async ({ romeo, juliet, stack, channel, at, connectIrc }) => {
    await stack.ircServer.kill()
    const begun = performance.now()
    await Promise.all([romeo.registers(), juliet.registers()])
    // Two joins of one user wait, and one of another.
    const rooms = [at(channel('balcony')), at(channel('garden'))]
    const joins = [
      ...rooms.map(room => refusal(romeo, `${room}/${romeo.nick}`, '', 40_000)),
      refusal(juliet, `${rooms[0]}/${juliet.nick}`, '', 40_000),
    ]
    for (const error of await Promise.all(joins))
      assert.equal(errorOf(error), 'wait/remote-server-timeout', String(error))
    const seconds = (performance.now() - begun) / 1000
    assert.ok(seconds < 30, `it took ${seconds} s`)

    await stack.ircServer.start()
    const irc = await connectIrc('nurse')
    const balcony = channel('balcony')
    await irc.join(balcony)
    await waitUntil(
      async () => {
        const join = romeo.joins(at(balcony)).then(
          () => true,
          () => false,
        )
        return join
      },
      { deadlineMs: 120_000 },
    )
    await romeo.says(at(balcony), 'at last')
    await irc.waitFor(/ PRIVMSG \S+ :at last$/)
  },
)
