import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoomWatch } from './room-watch.ts'

test('a user is there while any of its connections is', () => {
  const watch = new RoomWatch()
  const line = (nick: string, command: string, rest = '#room0') => watch.onLine({ nick, command, rest }, 1)
  line('u01', 'JOIN')
  line('u01_', 'JOIN')
  line('u01', 'QUIT', ':gone')
  assert.equal(watch.isPresent('u01'), true)
  assert.equal(watch.hasNick('u01'), false)
  line('u01_', 'NICK', ':u01')
  assert.equal(watch.hasNick('u01'), true)
  line('s0', 'KICK', '#room0 u01 :out')
  assert.equal(watch.isPresent('u01'), false)
  assert.deepEqual(
    watch.movements.map(({ kind }) => kind),
    ['JOIN', 'JOIN', 'QUIT', 'NICK', 'KICK'],
  )
})

test('speakers, witnesses and private partners are nobody of ours', () => {
  const watch = new RoomWatch()
  for (const nick of ['w0', 's0', 'p01', 'n1']) watch.onLine({ nick, command: 'JOIN', rest: '#room0' }, 1)
  assert.deepEqual(watch.movements, [])
})
