import { ServerError } from './child.ts'
import { parseRecord } from './gateway.ts'
import { MissingProgramError } from './programs.ts'

/** What went wrong, in one sentence for the person at the terminal; no stack trace is shown. */
export class StartError extends Error {
  override name = 'StartError'
}

/** Who reads our output may leave (`npm start | head -1`): the gateway goes on without him. */
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })

/** Progress and logs go to stderr: stdout carries only what was asked for. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

/** Says why there is no gateway, and makes the process end with 1. */
export function explainFailure(error: unknown): void {
  if ([StartError, ServerError, MissingProgramError].some(kind => error instanceof kind)) say((error as Error).message)
  else say(`The gateway could not be started: ${(error as Error | undefined)?.stack ?? error}`)
  process.exitCode = 1
}

const levels = ['debug', 'info', 'warn', 'error'] as const

/** Fields that every line has, or that say nothing to a person. */
const dull = new Set(['level', 'time', 'msg', 'service', 'jid', 'pid', 'hostname'])

/** One line of a service for a person to read; undefined when it is less severe than asked for. */
export function readable(name: string, line: string, least: (typeof levels)[number]): string | undefined {
  const record = parseRecord(line)
  if (record === undefined) return line.trim() === '' ? undefined : `${name}: ${line}`
  const level = String(record.level)
  if (levels.indexOf(level as (typeof levels)[number]) < levels.indexOf(least)) return undefined
  const fields = Object.entries(record)
    .filter(([key]) => !dull.has(key))
    .map(([key, value]) => `${key}=${describe(value)}`)
  const mark = level === 'info' || level === 'debug' ? '' : `${level}: `
  return `${String(record.time).slice(11, 19)} ${name}: ${mark}${record.msg}${fields.length > 0 ? ` (${fields.join(', ')})` : ''}`
}

/** {@link readable} for warnings and errors; and for the news that a connection is back whose loss was told. */
export function severeLines(): (name: string, line: string) => string | undefined {
  const disconnected = new Set<string>()
  return (name, line) => {
    const msg = parseRecord(line)?.msg
    if (msg === 'component disconnected') disconnected.add(name)
    const isBack = msg === 'component connected' && disconnected.delete(name)
    return readable(name, line, isBack ? 'info' : 'warn')
  }
}

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  const { message, address, port } = value as { message?: unknown; address?: unknown; port?: unknown }
  if (typeof address === 'string' && typeof port === 'number') return `${address}:${port}`
  return typeof message === 'string' ? message : JSON.stringify(value)
}

/**
 * The first request to end: Ctrl-C, SIGTERM, or the terminal closed. npm passes a signal on that the terminal has sent
 * to everybody already, so what follows within two seconds is the same wish; what comes later is impatience.
 */
export function stopRequests(): { first: Promise<NodeJS.Signals>; impatience: Promise<void> } {
  const first = Promise.withResolvers<NodeJS.Signals>()
  const impatience = Promise.withResolvers<void>()
  let since: number | undefined
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => {
      since ??= performance.now()
      if (performance.now() - since > 2000) impatience.resolve()
      first.resolve(signal)
    })
  // Only where npm start has launched us: its script is gone without having passed a signal on.
  process.once('disconnect', () => first.resolve('SIGHUP'))
  process.channel?.unref()
  return { first: first.promise, impatience: impatience.promise }
}
