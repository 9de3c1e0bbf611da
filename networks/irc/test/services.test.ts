import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { freePort, IrcClient, type IrcServer, type Server, startAnope, startInspircd, waitUntil } from '@spectrum/stack'
import { createConnector, GatewayUser } from './gateway-user.ts'

let server: IrcServer
let services: Server

before(async () => {
  const servicesPort = await freePort()
  server = await startInspircd({ servicesPort })
  services = await startAnope({ servicesPort })
  await using owner = await IrcClient.connect({ port: server.port, nick: 'romeo' })
  owner.say('NickServ', 'REGISTER open-sesame romeo@example.net')
  await owner.waitFor(/ 900 /, { deadlineMs: 20_000 })
})
after(async () => {
  await services?.[Symbol.asyncDispose]()
  await server?.[Symbol.asyncDispose]()
})

const connect = (password: string) => {
  const { connector, counts } = createConnector({ server: [`127.0.0.1:${server.port}`] })
  return { user: new GatewayUser(connector, 'romeo', password), counts }
}

test('an account of Anope is logged in to by SASL, and a wrong password is told as such', async () => {
  const { user } = connect('open-sesame')
  await user.host.online()
  await using witness = await IrcClient.connect({ port: server.port, nick: 'witness' })
  witness.send('WHOIS romeo')
  await witness.waitFor(/ 330 witness romeo romeo /)
  await user.stop()
  const { user: paris } = connect('not-sesame')
  await paris.ended()
  assert.equal((paris.outcome as { code?: string }).code, 'wrong-credentials')
})

test('Anope gives the nick back that a ghost has, and the user hears nothing of it', async () => {
  await using ghost = await IrcClient.connect({ port: server.port, nick: 'romeo' })
  await ghost.join('#balcony')
  const { user } = connect('open-sesame')
  await user.host.online()
  await user.join('#balcony')
  await waitUntil(() => user.occupants('#balcony').some(({ nick, self }) => self && nick === 'romeo'), {
    deadlineMs: 20_000,
    describe: () => JSON.stringify(user.host.events),
  })
  assert.deepEqual(
    user.host.events.filter(({ type }) => type === 'message' || type === 'notice'),
    [],
  )
  await user.stop()
})

test('with the services away the user comes in all the same', async () => {
  await services.stop()
  const { user, counts } = connect('open-sesame')
  await user.host.online()
  await waitUntil(() => counts.get('no-nick-service') === 1)
  assert.deepEqual(user.host.events, [])
  await user.stop()
})
