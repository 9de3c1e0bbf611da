import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { repositoryRoot } from './environment.ts'
import { say } from './terminal.ts'
import { waitUntil } from './wait-until.ts'

/**
 * Ends the workers that a router of this instance has started (`launcher.type = process`) and has not stopped. They outlive a
 * start that is killed, and know only its nats-server, which is gone. To be called by whoever holds the instance's folder.
 */
export async function endLeftWorkers(jid: string): Promise<void> {
  const program = join(repositoryRoot, 'services/worker/src/main.ts')
  const words = [program, '--launcher.type=process', `--service.jid=${jid}`]
  const left = (existsSync('/proc') ? readdirSync('/proc') : [])
    .map(Number)
    .filter(pid => pid > 0 && words.every(word => commandLine(pid).includes(word)))
  if (left.length === 0) return
  say(`Ending workers that nobody has stopped: process ${left.join(', ')}`)
  // At once: without NATS there is nothing that they could hand over.
  for (const pid of left) process.kill(pid, 'SIGKILL')
  await waitUntil(() => !left.some(pid => commandLine(pid).length > 0))
}

/** Empty for a process that has ended. */
function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').filter(Boolean)
  } catch {
    return []
  }
}
