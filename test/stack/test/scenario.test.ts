import assert from 'node:assert/strict'
import { scenario, xml } from '../src/index.ts'

scenario('a line crosses the gateway each way', async ({ romeo, irc, channel, at }) => {
  const balcony = channel('balcony')
  const room = at(balcony)
  await irc.join(balcony)
  await romeo.joins(room)
  await romeo.says(room, 'Call me but love')
  assert.match(await irc.waitFor(/PRIVMSG \S+ :Call me but love/), new RegExp(`^:${romeo.nick}!`, 'i'))
  irc.say(balcony, 'What man art thou')
  await romeo.receives(
    xml`<message type="groupchat" from="${`${room}/${irc.nick}`}"><body>What man art thou</body></message>`,
  )
})

scenario(
  'each process of a gateway that dies is started again',
  { isAlone: true },
  async ({ gateway, topology, romeo, irc, channel, at }) => {
    const balcony = channel()
    await irc.join(balcony)
    await romeo.joins(at(balcony))
    assert.equal(gateway.processes.length, topology === 'pair' ? 6 : 3)
    const [router] = gateway.routers
    assert.ok(router)
    const before = router.pid
    await router.kill()
    await romeo.says(at(balcony), 'still here')
    await irc.waitFor(/PRIVMSG \S+ :still here/)
    await gateway.ready()
    assert.notEqual(router.pid, before)
  },
)
