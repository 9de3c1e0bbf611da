import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RoomView } from './room-view.ts'

const room = '#room0@irc.localhost'

function inside(): { view: RoomView; told: string[]; presence: (nick: string, rest?: string, inner?: string) => void } {
  const told: string[] = []
  const view = new RoomView(room, (kind, nick) => told.push(`${nick} ${kind}`))
  const presence = (nick: string, rest = '', inner = ''): void =>
    view.onPresence(`<presence from="${room}/${nick}"${rest}>${inner}</presence>`, 1)
  view.enter()
  presence('s0')
  presence('w0')
  presence('u00', '', '<x><status code="110"/></x>')
  return { view, told, presence }
}

test('the list that is given on entering is nobody coming; afterwards everybody is', () => {
  const { told, presence } = inside()
  assert.deepEqual(told, [])
  presence('u05')
  presence('u05', '', '<show>away</show>')
  presence('s0', ' type="unavailable"')
  presence('s0', ' type="unavailable"')
  assert.deepEqual(told, ['u05 join', 's0 leave'])
})

test('who enters again is given the list anew', () => {
  const { view, told, presence } = inside()
  view.enter()
  presence('s0')
  presence('u00', '', '<x><status code="110"/></x>')
  presence('s0')
  assert.deepEqual(told, [])
  presence('w0')
  assert.deepEqual(told, ['w0 join'])
})

test('errors and other rooms are nothing', () => {
  const { view, told, presence } = inside()
  presence('x', ' type="error"')
  view.onPresence('<presence from="#room1@irc.localhost/x"/>', 1)
  assert.deepEqual(told, [])
})
