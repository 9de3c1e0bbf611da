import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { NetworkEvent, RoomId, UserId } from '@spectrum/network'
import { IrcClient, type IrcServer, waitUntil } from '@spectrum/stack'
import { contact, createConnector, GatewayUser, occupant, room } from './gateway-user.ts'
import { servers } from './servers.ts'

for (const { name, start } of servers) {
  describe(`on ${name}`, { timeout: 120_000 }, () => {
    let server: IrcServer
    let witness: IrcClient
    let romeo: GatewayUser
    let juliet: GatewayUser
    let counts: Map<string, number>

    before(async () => {
      server = await start()
      const made = createConnector({ server: [`127.0.0.1:${server.port}`] })
      counts = made.counts
      romeo = new GatewayUser(made.connector, 'Romeo')
      juliet = new GatewayUser(made.connector, 'Juliet')
      witness = await IrcClient.connect({ port: server.port, nick: 'Witness' })
      await Promise.all([romeo.host.online(), juliet.host.online()])
    })

    after(async () => {
      await Promise.all([romeo?.stop(), juliet?.stop()])
      await witness?.[Symbol.asyncDispose]()
      await server?.[Symbol.asyncDispose]()
    })

    test('a join tells who is there, then the subject', async () => {
      await witness.join('#Verona')
      witness.send('TOPIC #Verona :Two \x02households\x02')
      await witness.waitFor(/TOPIC #Verona/)
      await romeo.join('#verona')
      const subject = await romeo.host.next('room-subject')
      const kinds = romeo.host.events
        .filter(event => 'room' in event && event.room === '#verona')
        .map(event => event.type)
      assert.deepEqual(kinds.slice(0, 5), ['room-joined', 'occupant', 'occupant', 'room-ready', 'room-subject'])
      assert.equal(subject.subject, 'Two households')
      assert.equal(subject.nick, 'Witness')
      assert.ok(subject.at instanceof Date)
      const occupants = romeo.occupants('#verona')
      const self = occupants.find(each => each.nick === 'Romeo')
      assert.deepEqual(self, { nick: 'Romeo', affiliation: 'none', role: 'participant', user: 'romeo', self: true })
      const founder = occupants.find(each => each.nick === 'Witness')
      assert.equal(founder?.role, 'moderator')
      assert.equal(founder?.affiliation, 'admin')
    })

    test('talk both ways, with actions, notices and formatting', async () => {
      const from = romeo.host.events.length
      witness.say('#verona', 'plain \x0304,01<red>\x0f \x02bold\x02 end')
      const said = await romeo.host.next('message', () => true, { from })
      assert.deepEqual(said.chat, { kind: 'room', room: '#verona' })
      assert.deepEqual(said.from, { user: 'witness', nick: 'Witness' })
      assert.equal(said.text, 'plain <red> bold end')
      assert.match(said.xhtml ?? '', /&lt;red&gt;<\/span> <span style='font-weight: bold'>bold/)
      witness.send('PRIVMSG #verona :\x01ACTION sighs\x01', 'NOTICE #verona :beware')
      const sigh = await romeo.host.next('message', event => event.action === true, { from })
      assert.equal(sigh.text, 'sighs')
      await romeo.host.next('message', event => event.kind === 'notice' && event.text === 'beware', { from })

      await romeo.say(room('#verona'), 'hello\nworld')
      await witness.waitFor(/^:Romeo!\S+ PRIVMSG #verona :hello$/i)
      await witness.waitFor(/^:Romeo!\S+ PRIVMSG #verona :world$/i)
      await romeo.say(room('#verona'), 'dies', { action: true })
      await witness.waitFor(/PRIVMSG #verona :\x01ACTION dies\x01$/i)
      await romeo.say(room('#verona'), '/me dies again')
      await witness.waitFor(/PRIVMSG #verona :\x01ACTION dies again\x01$/i)
    })

    test('a long line arrives whole, in pieces', async () => {
      const text = 'Wherefore art thou Romeo? ä€😀 '.repeat(60).trim()
      await romeo.say(room('#verona'), text)
      await romeo.say(room('#verona'), 'after it')
      await witness.waitFor(/:after it$/)
      const pieces = witness.lines
        .filter(line => /^:Romeo!\S+ PRIVMSG #verona :/i.test(line))
        .map(line => line.replace(/^\S+ \S+ \S+ :/, ''))
      // Some servers cut trailing spaces.
      assert.ok(
        pieces
          .map(piece => piece.trim())
          .join(' ')
          .includes(text),
        pieces.join('|'),
      )
    })

    test('private messages, to a nick and through a room', async () => {
      const from = romeo.host.events.length
      witness.say('Romeo', 'psst')
      const first = await romeo.host.next('message', event => event.text === 'psst', { from })
      assert.deepEqual(first.chat, { kind: 'contact', user: 'witness' })
      await romeo.say(contact('witness'), 'yes?')
      await witness.waitFor(/^:Romeo!\S+ PRIVMSG Witness :yes\?$/i)
      await romeo.say(occupant('#verona', 'Witness'), 'in here')
      await witness.waitFor(/PRIVMSG Witness :in here$/i)
      witness.say('Romeo', 'as you like')
      const answer = await romeo.host.next('message', event => event.text === 'as you like', { from })
      assert.deepEqual(answer.chat, { kind: 'occupant', room: '#verona', nick: 'Witness' })
    })

    test('a message to nobody fails', async () => {
      const from = romeo.host.events.length
      await romeo.say(contact('nobody'), 'hello?')
      const failed = await romeo.host.next('message-failed', () => true, { from })
      assert.deepEqual([failed.code, failed.chat], ['not-found', contact('nobody')])
    })

    test('others come, change their nick and go; sessions share one table', async () => {
      await juliet.join('#verona')
      await romeo.host.next('occupant', event => event.occupant.nick === 'Juliet' && event.change.kind === 'joined')
      const guest = await IrcClient.connect({ port: server.port, nick: 'Guest' })
      await guest.join('#verona')
      for (const user of [romeo, juliet]) {
        await user.host.next('occupant', event => event.occupant.nick === 'Guest' && event.change.kind === 'joined')
      }
      guest.send('NICK Paris')
      for (const user of [romeo, juliet]) {
        const { change } = await user.host.next(
          'occupant',
          event => event.occupant.nick === 'Guest' && event.change.kind === 'renamed',
        )
        assert.deepEqual(change, { kind: 'renamed', to: 'Paris' })
      }
      guest.send('QUIT :to the tomb')
      for (const user of [romeo, juliet]) {
        const { change } = await user.host.next(
          'occupant',
          event => event.occupant.nick === 'Paris' && event.change.kind === 'left',
        )
        assert.match((change as { reason?: string }).reason ?? '', /tomb/)
        assert.deepEqual(
          user
            .occupants('#verona')
            .map(each => each.nick)
            .sort(),
          ['Juliet', 'Romeo', 'Witness'],
        )
      }
    })

    test('ranks change by modes, and by what the user asks', async () => {
      let from = romeo.host.events.length
      witness.send('MODE #verona +o Romeo')
      const { occupant: promoted } = await romeo.host.next('occupant', event => event.occupant.self === true, { from })
      assert.deepEqual([promoted.affiliation, promoted.role], ['admin', 'moderator'])
      from = juliet.host.events.length
      await romeo.rooms.setRole?.('#verona' as RoomId, 'Juliet', 'moderator')
      await juliet.host.next('occupant', event => event.occupant.self === true && event.occupant.role === 'moderator', {
        from,
      })
      await romeo.rooms.setRole?.('#verona' as RoomId, 'Juliet', 'participant')
      await juliet.host.next(
        'occupant',
        event => event.occupant.self === true && event.occupant.role === 'participant',
        { from },
      )
      witness.send('MODE #verona +m')
      await juliet.host.next('occupant', event => event.occupant.self === true && event.occupant.role === 'visitor', {
        from,
      })
      await juliet.host.next('room-facts', event => event.facts.isModerated === true, { from })
      await juliet.say(room('#verona'), 'may I speak?')
      await juliet.host.next('message-failed', event => /cannot send|moderated|no external/i.test(event.text), { from })
      witness.send('MODE #verona -m')
      await juliet.host.next(
        'occupant',
        event => event.occupant.self === true && event.occupant.role === 'participant',
        { from },
      )
      await assert.rejects(async () => juliet.rooms.kick?.('#verona' as RoomId, 'Witness'), { code: 'not-allowed' })
    })

    test('subject, nick, invitation', async () => {
      await romeo.rooms.setSubject?.('#verona' as RoomId, 'A plague\r\no’ both your houses')
      await witness.waitFor(/TOPIC #verona :A plague o’ both your houses$/i)
      await juliet.host.next('room-subject', event => event.subject.startsWith('A plague'))
      assert.equal(juliet.rooms.subject('#verona' as RoomId)?.nick, 'Romeo')
      await romeo.rooms.changeNick?.('#verona' as RoomId, 'Montague')
      const renamed = await romeo.host.next(
        'occupant',
        event => event.change.kind === 'renamed' && event.occupant.self === true,
      )
      assert.equal(renamed.occupant.nick, 'Romeo')
      await assert.rejects(async () => romeo.rooms.changeNick?.('#verona' as RoomId, 'Juliet'), { code: 'conflict' })
      await romeo.rooms.changeNick?.('#verona' as RoomId, 'Romeo')
      const guest = await IrcClient.connect({ port: server.port, nick: 'Tybalt' })
      await romeo.rooms.invite?.('#verona' as RoomId, 'tybalt' as UserId)
      await guest.waitFor(/INVITE Tybalt :?#verona/i)
      await guest[Symbol.asyncDispose]()
      const from = romeo.host.events.length
      witness.send('JOIN #capulet', 'INVITE Romeo #capulet')
      const invitation = await romeo.host.next('room-invitation', () => true, { from })
      assert.deepEqual([invitation.room, invitation.from], ['#capulet', 'Witness'])
    })

    test('kicks both ways, and leaving', async () => {
      await romeo.rooms.kick?.('#verona' as RoomId, 'Juliet', 'banished')
      const { why } = await juliet.host.next('room-left')
      assert.deepEqual(why, { kind: 'kicked', actor: 'Romeo', reason: 'banished' })
      assert.deepEqual(juliet.occupants('#verona'), [])
      const from = romeo.host.events.length
      await juliet.join('#verona')
      await romeo.host.next('occupant', event => event.occupant.nick === 'Juliet' && event.change.kind === 'joined', {
        from,
      })
      await juliet.rooms.leave('#verona' as RoomId, 'farewell')
      await juliet.host.next('room-left', event => event.why.kind === 'left')
      const { change } = await romeo.host.next(
        'occupant',
        event => event.occupant.nick === 'Juliet' && event.change.kind === 'left',
        { from },
      )
      assert.match((change as { reason?: string }).reason ?? '', /farewell/)
    })

    test('joins that are refused say why', async () => {
      witness.send(
        'JOIN #keyed',
        'MODE #keyed +k sesame',
        'JOIN #closed',
        'MODE #closed +i',
        'JOIN #full',
        'MODE #full +l 1',
        'JOIN #banned',
        'MODE #banned +b juliet!*@*',
      )
      await witness.waitFor(/MODE #banned \+b/)
      const refused = {
        '#keyed': 'not-authorized',
        '#closed': 'members-only',
        '#full': 'room-full',
        '#banned': 'not-allowed',
      }
      for (const name of Object.keys(refused)) juliet.rooms.join({ room: name as RoomId, nick: 'Juliet' })
      for (const [name, code] of Object.entries(refused)) {
        const { why } = await juliet.host.next('room-left', event => event.room === name)
        assert.deepEqual([why.kind, why.kind === 'refused' && why.code], ['refused', code])
        assert.match((why as { reason?: string }).reason ?? '', /\w/)
      }
      await juliet.join('#keyed', 'sesame')
      await juliet.rooms.leave('#keyed' as RoomId)
    })

    test('joining again tells the same again', async () => {
      const from = romeo.host.events.length
      await romeo.join('#verona')
      const again = romeo.host.events.slice(from).map(event => event.type)
      assert.deepEqual(again, ['room-joined', 'occupant', 'occupant', 'room-ready', 'room-subject'])
    })

    test('nothing can be slipped into the connection', async () => {
      const evil = 'x\r\nQUIT :gotcha\r\n'
      const attempts: (() => unknown)[] = [
        () => romeo.rooms.join({ room: `#a${evil}` as RoomId, nick: 'x' }),
        () => romeo.rooms.join({ room: '#a b' as RoomId, nick: 'x' }),
        () => romeo.rooms.join({ room: '#secret' as RoomId, nick: 'x', password: evil }),
        () => romeo.rooms.join({ room: '#secret' as RoomId, nick: 'x', password: 'a,b' }),
        () => romeo.session.send({ key: 'k', chat: contact(evil), text: 'x' }),
        () => romeo.session.send({ key: 'k', chat: contact('a,b'), text: 'x' }),
        () => romeo.rooms.changeNick?.('#verona' as RoomId, evil),
        () => romeo.rooms.invite?.('#verona' as RoomId, evil as UserId),
        () => romeo.rooms.setAffiliation?.('#verona' as RoomId, { nick: evil }, 'outcast'),
      ]
      for (const attempt of attempts)
        await assert.rejects(async () => attempt(), { name: 'NetworkError' }, `${attempt}`)
      await romeo.say(room('#verona'), 'one\r\nQUIT :gotcha\rNICK gotcha\0\x01')
      romeo.session.features.presence?.send({ show: 'away', status: evil })
      await witness.waitFor(/PRIVMSG #verona :NICK gotcha$/i)
      assert.equal(romeo.outcome, undefined)
      romeo.session.features.presence?.send({ show: 'online' })
    })

    test('presence is away and back', async () => {
      romeo.session.features.presence?.send({ show: 'xa', status: 'asleep' })
      const whois = async () => {
        const from = witness.lines.length
        witness.send('WHOIS Romeo')
        await witness.waitFor(/ 318 /)
        return witness.lines.slice(from)
      }
      await waitUntil(async () => (await whois()).some(line => / 301 Witness Romeo :?asleep/i.test(line)))
      romeo.session.features.presence?.send({ show: 'online' })
      await waitUntil(async () => !(await whois()).some(line => / 301 /.test(line)))
    })

    test('CTCP VERSION is answered, DCC never', async () => {
      witness.send('PRIVMSG Romeo :\x01VERSION\x01', 'PRIVMSG Romeo :\x01DCC SEND x 2130706433 9 1\x01')
      await witness.waitFor(/NOTICE Witness :\x01VERSION Spectrum Cloud /i)
      await waitUntil(() => counts.get('ctcp-ignored') === 1)
    })

    test('a thousand lines keep their order each way', async () => {
      const count = 1000
      const from = romeo.host.events.length
      for (let i = 0; i < count; i++) witness.say('#verona', `in ${i}`)
      await romeo.host.next('message', event => event.text === `in ${count - 1}`, { from, deadlineMs: 30_000 })
      const heard = romeo.host.events
        .slice(from)
        .filter((event: NetworkEvent) => event.type === 'message' && event.text.startsWith('in '))
      assert.equal(heard.length, count)
      for (let i = 0; i < count; i++) await romeo.say(room('#verona'), `out ${i}`)
      await witness.waitFor(new RegExp(`:out ${count - 1}$`), { deadlineMs: 30_000 })
      const seen = witness.lines
        .filter(line => / :out \d+$/.test(line))
        .map(line => Number(line.slice(line.lastIndexOf(' ') + 1)))
      assert.deepEqual(
        seen,
        Array.from({ length: count }, (_, i) => i),
      )
    })

    test('signing out says QUIT with the reason', async () => {
      await juliet.join('#verona')
      await juliet.stop('good night')
      assert.equal(juliet.outcome, 'ended')
      await witness.waitFor(/^:Juliet!\S+ QUIT :.*good night/)
      const failed = [...counts].filter(([reason]) => reason === 'line-failed' || reason.startsWith('malformed'))
      assert.deepEqual(failed, [])
    })
  })
}
