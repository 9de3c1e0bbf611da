import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeadlineError, IrcClient, startNgircd, startProsody, XmppClient, xml } from '../src/index.ts'

test('two XMPP clients talk, and waiting in vain says what did arrive', async () => {
  await using prosody = await startProsody({
    users: ['romeo', 'juliet'].map(name => ({ name, password: `${name}'s "pass"` })),
  })
  const login = (name: string) =>
    XmppClient.connect({ port: prosody.clientPort, domain: prosody.domain, name, password: `${name}'s "pass"` })
  await using romeo = await login('romeo')
  await using juliet = await login('juliet')
  romeo.sends(xml`<message to="${juliet.jid}" type="chat"><body>But ${'<soft>'}</body></message>`)
  const message = await juliet.receives(xml`<message type="chat"><body>But ${'<soft>'}</body></message>`)
  assert.equal(message.attrs.from, romeo.jid)
  romeo.sends(xml`<message to="${juliet.jid}"><body>what light</body></message>`)
  await assert.rejects(juliet.receives('<presence type="unavailable"/>', { deadlineMs: 500 }), (error: Error) => {
    assert.ok(error instanceof DeadlineError)
    return /what light/.test(error.message)
  })
})

test('a wrong password is refused', async () => {
  await using prosody = await startProsody({ users: [{ name: 'romeo', password: 'x' }] })
  const login = { port: prosody.clientPort, domain: prosody.domain, name: 'romeo', password: 'y' }
  await assert.rejects(XmppClient.connect(login), /login refused/)
})

test('two IRC clients talk', async () => {
  await using server = await startNgircd()
  await using romeo = await IrcClient.connect({ port: server.port, nick: 'romeo' })
  await using juliet = await IrcClient.connect({ port: server.port, nick: 'juliet' })
  await romeo.join('#balcony')
  await juliet.join('#balcony')
  juliet.say('#balcony', 'Romeo, Romeo')
  assert.match(await romeo.waitFor(/PRIVMSG #balcony/), /:Romeo, Romeo$/)
})
