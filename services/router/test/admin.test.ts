import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Client, credentials, makeGenericClientConstructor, status } from '@grpc/grpc-js'
import { backendResource } from '@spectrum/bus'
import { AdminService, type ListBackendsReply, type ListUsersReply, type Status } from '@spectrum/messages'
import { type NatsServer, startNats, waitUntil } from '@spectrum/stack'
import { service as healthService } from 'grpc-health-check'
import { instance, type LocalRouter, Neighbour, startLocalRouter, untilLeads } from './harness.ts'

describe('the admin API', () => {
  let nats: NatsServer
  let router: LocalRouter
  let frontend: Neighbour
  let client: Client

  before(async () => {
    nats = await startNats()
    router = await startLocalRouter(nats, ['--registration.auto_register=1', '--service.users_per_backend=5'])
    frontend = await Neighbour.connect(nats, 'frontend')
    await untilLeads(router)
    client = new Client(`127.0.0.1:${router.service.adminPort}`, credentials.createInsecure())
    for (let index = 0; index < 12; index++) {
      const user = `user${String(index).padStart(2, '0')}@example.org`
      const { backend, generation } = await frontend.router.login({ user, nickHint: `nick${index}` })
      if (index % 3 === 0) await frontend.router.release({ user, backend, generation })
    }
  })
  after(async () => {
    client.close()
    for (const part of [frontend, router, nats]) await part[Symbol.asyncDispose]()
  })

  function ask<Reply>(method: keyof AdminService, request: object): Promise<Reply> {
    const { path, requestSerialize, responseDeserialize } = AdminService[method]
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize as (value: object) => Buffer,
        responseDeserialize as (bytes: Buffer) => unknown,
        request,
        (error, reply) => (error ? reject(error) : resolve(reply as Reply)),
      )
    })
  }

  test('status', async () => {
    const found = await waitUntil(async () => {
      const reply = await ask<Status>('getStatus', {})
      // Two for the users, and the spare one.
      return reply.onlineUsers === 8 && reply.backends === 3 && reply
    })
    const { uptimeSeconds, ...rest } = found
    assert.ok(uptimeSeconds >= 0)
    assert.deepEqual(rest, {
      jid: 'irc.example.org',
      network: 'irc',
      version: '0.1.0',
      registeredUsers: 12,
      onlineUsers: 8,
      backends: 3,
      leader: router.service.processId,
    })
  })

  test('users, by pages', async () => {
    const list = async (onlyOnline: boolean) => {
      const users = []
      for (let pageToken = ''; ; ) {
        const page = await ask<ListUsersReply>('listUsers', { pageSize: 5, pageToken, onlyOnline })
        assert.ok(page.users.length <= 5)
        users.push(...page.users)
        pageToken = page.nextPageToken
        if (pageToken === '') return users
      }
    }
    const all = await list(false)
    assert.deepEqual(
      all.map(user => user.jid),
      all.map(user => user.jid).toSorted(),
    )
    assert.equal(all.length, 12)
    assert.deepEqual(all[1], { jid: 'user01@example.org', username: 'nick1', isOnline: true, backend: 0 })
    const online = await list(true)
    assert.deepEqual(
      online,
      all.filter(user => user.isOnline),
    )
    assert.equal(online.length, 8)
    await assert.rejects(ask('listUsers', { pageSize: 5, pageToken: '?', onlyOnline: false }), {
      code: status.INVALID_ARGUMENT,
    })
  })

  test('backends, with the worker that runs them', async () => {
    await using worker = await Neighbour.connect(nats, 'worker')
    const ownership = await worker.bus.owners.acquire(backendResource(instance, 1))
    assert.ok(ownership)
    const { backends } = await waitUntil(async () => {
      const reply = await ask<ListBackendsReply>('listBackends', {})
      return reply.backends[1]?.worker === worker.bus.processId && reply
    })
    assert.deepEqual(
      backends.map(({ number, capacity, worker, epoch }) => ({ number, capacity, worker, epoch })),
      [
        { number: 0, capacity: 5, worker: '', epoch: 0 },
        { number: 1, capacity: 5, worker: worker.bus.processId, epoch: ownership.epoch },
        { number: 2, capacity: 5, worker: '', epoch: 0 },
      ],
    )
    assert.equal(
      backends.reduce((sum, backend) => sum + backend.users, 0),
      8,
    )
  })

  test('health', async () => {
    const Health = makeGenericClientConstructor(healthService, 'Health')
    const health = new Health(`127.0.0.1:${router.service.adminPort}`, credentials.createInsecure())
    for (const service of ['', 'spectrum.v1.Admin']) {
      const reply = await new Promise((resolve, reject) => {
        health.check?.({ service }, (error: unknown, answer: unknown) => (error ? reject(error) : resolve(answer)))
      })
      assert.deepEqual(reply, { status: 'SERVING' })
    }
    health.close()
  })

  test('is refused on an address that others can reach', async () => {
    for (const host of ['0.0.0.0', '192.0.2.1', 'example.org', '::'])
      await assert.rejects(
        startLocalRouter(nats, [`--grpc.host=${host}`]),
        /^ConfigError: --grpc\.host: must be of this machine alone/,
      )
  })
})
