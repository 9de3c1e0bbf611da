import { after } from 'node:test'
import { irc } from '@spectrum/irc'
import type { Network } from '@spectrum/network'
import { conformance } from '@spectrum/network-testkit'
import { freePort, IrcClient } from '@spectrum/stack'
import { servers } from './servers.ts'

for (const { name, start } of servers) {
  const opened: AsyncDisposable[] = []
  after(async () => {
    for (const each of opened.reverse()) await each[Symbol.asyncDispose]()
  })
  conformance(`irc on ${name}`, async () => {
    const server = await start({ password: 'open-sesame' })
    opened.push(server)
    const keeper = await IrcClient.connect({ port: server.port, nick: 'keeper', password: 'open-sesame' })
    opened.push(keeper)
    await keeper.join('#closed')
    keeper.send('MODE #closed +i')
    await keeper.waitFor(/MODE #closed :?\+i/)
    const account = (username: string, password: string) => ({ username, password, settings: {} })
    return {
      network: irc as unknown as Network,
      config: { server: [`127.0.0.1:${server.port}`], sendPass: true, floodRate: 0 },
      account: account('romeo', 'open-sesame'),
      peerAccount: account('juliet', 'open-sesame'),
      wrongAccount: account('paris', 'wrong-password'),
      unreachableConfig: { server: [`127.0.0.1:${await freePort()}`] },
      room: number => `#room${number}`,
      closedRoom: '#closed',
    }
  })
}
