import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fold } from './casemapping.ts'
import { Names, parseUsername, usernamePattern } from './ids.ts'
import { Isupport } from './isupport.ts'
import { parseTarget, parseTargets } from './targets.ts'

describe('names', () => {
  const one = new Names(false)
  const many = new Names(true)
  test('on one server', () => {
    assert.equal(one.parseRoom('#Verona'), '#verona')
    assert.equal(one.parseUser('Romeo[away]'), 'romeo[away]')
    assert.equal(one.parseRoom('&local'), '&local')
    assert.equal(one.parseRoom('##ÄÖ'), '##ÄÖ')
  })
  test('on several', () => {
    assert.equal(many.parseRoom('#Verona@IRC.Example.org'), '#verona@irc.example.org')
    assert.equal(many.parseRoom('#a@b@irc.example.org,+6697'), '#a@b@irc.example.org,+6697')
    // The colon of other places means the same, but no JID has one unescaped.
    assert.equal(many.parseRoom('#a@b@irc.example.org:+6697'), '#a@b@irc.example.org,+6697')
    assert.equal(many.parseUser('romeo@[::1]:6667'), 'romeo@[::1],6667')
    assert.equal(many.parseUser('Romeo@irc.example.org'), 'romeo@irc.example.org')
    assert.deepEqual(many.split('#a@b@irc.example.org'), { name: '#a@b', server: 'irc.example.org' })
  })
  test('what cannot exist is refused', () => {
    const rooms = ['', '#', 'verona', '#a b', '#a,b', '#a\r\nb', '#a\0', '#a\x07', `#${'x'.repeat(300)}`, '#\ud800']
    for (const room of rooms) assert.throws(() => one.parseRoom(room), { code: 'bad-address' }, JSON.stringify(room))
    const users = ['', 'a b', '#a', 'a,b', 'a!b', 'a@b', '*', ':a', '~a', '$a', 'a\r\nQUIT']
    for (const user of users) assert.throws(() => one.parseUser(user), { code: 'bad-address' }, JSON.stringify(user))
    for (const room of [
      '#a',
      '#a@',
      '#a@b c',
      '#a@-',
      '#a@b:0',
      '#a@b:99999',
      '#a@b,',
      '#a@b,0',
      '#a@b,c',
      '#a@b,6667,6668',
      '#a,b@c',
      '#a@b\r\n',
    ]) {
      assert.throws(() => many.parseRoom(room), { code: 'bad-address' }, room)
    }
  })
  test('usernames', () => {
    assert.equal(parseUsername(' Romeo_ '), 'Romeo_')
    for (const bad of ['', '1a', '-a', 'a b', 'a@b', '#a', 'a\n']) {
      if (bad.trim() === 'a') continue
      assert.throws(() => parseUsername(bad), { code: 'not-acceptable' }, bad)
      assert.doesNotMatch(bad, new RegExp(`^(?:${usernamePattern})$`, 'u'))
    }
    assert.match('Romeo[away]', new RegExp(`^(?:${usernamePattern})$`, 'u'))
  })
})

test('targets', () => {
  assert.deepEqual(parseTarget('irc.example.org'), { host: 'irc.example.org', port: 6667, isTls: false })
  assert.deepEqual(parseTarget('irc.example.org:+7000'), { host: 'irc.example.org', port: 7000, isTls: true })
  assert.deepEqual(parseTarget('IRC.example.org:6697'), { host: 'irc.example.org', port: 6697, isTls: true })
  assert.deepEqual(parseTarget('irc.example.org,7000'), { host: 'irc.example.org', port: 7000, isTls: false })
  assert.deepEqual(parseTarget('irc.example.org,+7000'), { host: 'irc.example.org', port: 7000, isTls: true })
  assert.deepEqual(parseTarget('irc.example.org,6697'), { host: 'irc.example.org', port: 6697, isTls: true })
  assert.deepEqual(parseTarget('[::1]:7000'), { host: '::1', port: 7000, isTls: false })
  assert.equal(parseTargets(['a.example, b.example:+1', 'c.example']).length, 3)
  for (const bad of ['', 'a b', ':6667', 'a:', 'a:x', 'a:0', '-a', 'a..b', 'a/b'])
    assert.throws(() => parseTarget(bad), bad)
})

describe('ISUPPORT', () => {
  test('casemapping', () => {
    assert.equal(fold('rfc1459', 'A[]\\~Ä'), 'a{}|^Ä')
    assert.equal(fold('strict-rfc1459', 'A[]\\~'), 'a{}|~')
    assert.equal(fold('ascii', 'A[]'), 'a[]')
    assert.equal(fold('unicode', 'Ä'), 'ä')
  })
  test('tokens', () => {
    const isupport = new Isupport()
    isupport.apply([
      'me',
      'CASEMAPPING=ascii',
      'PREFIX=(qaohv)~&@%+',
      'CHANMODES=beI,k,lH,imnpst',
      'LINELEN=2048',
      'TARGMAX=PRIVMSG:4,JOIN:3',
      'NICKLEN=x',
      'are supported',
    ])
    assert.equal(isupport.casemapping, 'ascii')
    assert.equal(isupport.withMode('v', 'q', true), 'qv')
    assert.equal(isupport.withMode('qv', 'v', false), 'q')
    assert.equal(isupport.takesParam('k', false), true)
    assert.equal(isupport.takesParam('l', false), false)
    assert.equal(isupport.lineBytes, 2048)
    assert.equal(isupport.maxJoinTargets, 3)
  })
})
