import assert from 'node:assert/strict'
import { failures } from '@spectrum/network'
import type { Case } from '../stage.ts'
import { within } from '../until.ts'

/** What happens when the connection breaks and the host opens another session. */
export const reconnecting: readonly Case[] = [
  {
    name: 'a broken connection ends run() with an error that allows to retry, and nothing is lost or doubled around it',
    needs: ({ options }) => options.room !== undefined,
    async run(stage) {
      const name = stage.newRoom()
      const peer = await stage.peer()
      await peer.join(name)
      const texts: string[] = []
      const heardByMe: string[] = []
      for (const round of [1, 2, 3]) {
        const room = await stage.enter(name)
        const me = await stage.me()
        for (let number = 1; number <= 10; number++) {
          const text = `round ${round} line ${number}`
          texts.push(text)
          await stage.send({ kind: 'room', room }, text)
          await peer.sayIn(name, `answer to ${text}`)
        }
        await stage.peerHears(`round ${round} line 10`, name)
        await me.host.event('message', ({ text }) => text === `answer to round ${round} line 10`)
        if (round === 3) await stage.leave(room)
        else {
          stage.forgetMe()
          await (stage.options.breakConnection ?? (login => login.host.cut()))(me)
          const error = await within(me.over, 'run() to reject after the connection broke')
          assert.ok(error, 'run() fulfilled')
          assert.equal(failures[error.code].recovery, 'retry', error.code)
        }
        heardByMe.push(
          ...me.host.events.flatMap(event =>
            event.type === 'message' && event.at === undefined && event.text.startsWith('answer to round')
              ? event.text
              : [],
          ),
        )
      }
      const heard = peer
        .heard()
        .flatMap(line => (line.room === name && line.text.startsWith('round ') ? line.text : []))
      assert.deepEqual(heard, texts)
      assert.deepEqual(
        heardByMe,
        texts.map(text => `answer to ${text}`),
      )
      await peer.leave(name)
    },
  },
]
