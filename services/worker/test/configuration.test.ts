import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { startNats, TemporaryFolder, waitUntil } from '@spectrum/stack'
import { WorkerProcess } from './worker.ts'

test('mistakes in the options of the network are told with the others, by line', async () => {
  await using folder = await TemporaryFolder.create('worker-config')
  const path = join(folder.path, 'gateway.cfg')
  await writeFile(path, '[irc]\nflood_rate=-3\n[http]\nport=many\n[irc]\nencoding=morse\nirc_flod=1\n')
  await using worker = new WorkerProcess('nats://127.0.0.1:4222', [path], 'irc')
  assert.equal(await worker.exited, 78)
  assert.deepEqual(
    worker.output.split('\n').filter(line => line.includes(path)),
    [
      `  ${path}:2: irc.flood_rate: must be at least 0`,
      `  ${path}:4: http.port: must be a whole number`,
      `  ${path}:6: irc.encoding: must be one of utf-8, latin1`,
      `  ${path}:7: irc.irc_flod: is not a known option`,
    ],
  )
})

test('log.level says how much is written', async () => {
  await using nats = await startNats()
  await using talkative = new WorkerProcess(nats.url, ['--log.level=debug'])
  await waitUntil(() => /"level":"debug"/.test(talkative.output), { describe: () => talkative.output })
  await using usual = new WorkerProcess(nats.url)
  await waitUntil(() => usual.output.includes('the service runs'), { describe: () => usual.output })
  assert.doesNotMatch(usual.output, /"level":"debug"/)
})
