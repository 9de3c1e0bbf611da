import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { TemporaryFolder, waitUntil } from '@spectrum/stack'
import { KubernetesLauncher } from '../src/launchers/kubernetes-launcher.ts'
import { ListLog } from './harness.ts'

const path = '/apis/apps/v1/namespaces/chat/statefulsets/spectrum-worker/scale'

/** A service account, and an API server that knows one StatefulSet. */
async function startCluster(folder: string) {
  const openssl = (...args: string[]) => promisify(execFile)('openssl', args, { cwd: folder })
  const subject = ['-nodes', '-days', '1', '-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  await openssl('req', '-x509', '-newkey', 'rsa:2048', ...subject, '-keyout', 'key.pem', '-out', 'ca.crt')
  writeFileSync(join(folder, 'token'), 'first\n')
  writeFileSync(join(folder, 'namespace'), 'chat\n')
  const cluster = { replicas: 1, token: 'first', requests: [] as string[], apiServer: '' }
  const server = createServer(
    { key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'ca.crt')) },
    async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      cluster.requests.push(`${request.method} ${request.url} ${body}`)
      const isAllowed = request.headers.authorization === `Bearer ${cluster.token}`
      if (!isAllowed || request.url !== path) return void response.writeHead(isAllowed ? 404 : 401).end('{}')
      if (request.method === 'PATCH') {
        assert.equal(request.headers['content-type'], 'application/merge-patch+json')
        cluster.replicas = JSON.parse(body).spec.replicas
      }
      const spec = cluster.replicas === 0 ? {} : { replicas: cluster.replicas }
      response.end(JSON.stringify({ kind: 'Scale', apiVersion: 'autoscaling/v1', spec }))
    },
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  cluster.apiServer = `https://127.0.0.1:${address.port}`
  return { cluster, [Symbol.asyncDispose]: () => new Promise<void>(resolve => void server.close(() => resolve())) }
}

test('the StatefulSet is scaled up at once, and down step by step', async () => {
  await using folder = await TemporaryFolder.create('kubernetes')
  await using started = await startCluster(folder.path)
  const { cluster } = started
  const log = new ListLog()
  const results: string[] = []
  await using launcher = new KubernetesLauncher({
    apiServer: cluster.apiServer,
    statefulSet: 'spectrum-worker',
    namespace: '',
    serviceAccount: folder.path,
    idleMs: 50,
    log,
    onScaled: result => results.push(result),
  })
  const untilHas = (replicas: number, wanted = replicas) =>
    waitUntil(
      () => {
        launcher.wanted(wanted)
        return cluster.replicas === replicas
      },
      { describe: () => `${cluster.requests.join('\n')}\n${log.lines.join('\n')}` },
    )
  await untilHas(4)
  await untilHas(3, 1)
  await untilHas(2, 1)
  await untilHas(1)
  const patches = cluster.requests.filter(line => line.startsWith('PATCH')).map(line => line.slice(line.indexOf('{')))
  assert.deepEqual(
    patches,
    [4, 3, 2, 1].map(replicas => JSON.stringify({ spec: { replicas } })),
  )
  assert.deepEqual(results, ['up', 'down', 'down', 'down'])

  // The token is replaced now and then; until the new one is there, the old one is refused.
  cluster.token = 'second'
  await waitUntil(() => {
    launcher.wanted(2)
    return results.includes('failed')
  })
  assert.ok(log.lines.some(line => line.includes('401')))
  assert.ok(!log.lines.some(line => line.includes('first')))
  writeFileSync(join(folder.path, 'token'), 'second')
  await untilHas(2)
})

test('a server that the account’s authority did not sign is not spoken to', async () => {
  await using folder = await TemporaryFolder.create('kubernetes')
  await using other = await TemporaryFolder.create('kubernetes')
  await using started = await startCluster(folder.path)
  await using _stranger = await startCluster(other.path)
  const results: string[] = []
  await using launcher = new KubernetesLauncher({
    apiServer: started.cluster.apiServer,
    statefulSet: 'spectrum-worker',
    namespace: 'chat',
    serviceAccount: other.path,
    idleMs: 0,
    log: new ListLog(),
    onScaled: result => results.push(result),
  })
  launcher.wanted(3)
  await waitUntil(() => results.length > 0)
  assert.deepEqual([results, started.cluster.requests], [['failed'], []])
})
