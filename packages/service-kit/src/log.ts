import pino from 'pino'

/**
 * Fields first, then a fixed sentence: never bodies, never secrets. Satisfies `Logger` of `@spectrum/network`.
 * Ids stand under the same keys everywhere: `login`, `chat`, `backend`, `lane`. An error stands under `err`.
 */
export interface Log {
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** A log that adds these fields to each line. */
  child(fields: object): Log
  /** Writes out what the destination still holds, before it returns; standard output holds nothing back. */
  flush(): void
}

export interface LogOptions {
  /** Least severe line that is written. Default `info`. */
  readonly level?: 'debug' | 'info' | 'warn' | 'error'
  /** Fields of every line: which service, which instance. */
  readonly fields?: object
  /** Where lines go. Default: standard output. */
  readonly destination?: LogDestination
}

/** What pino writes to. */
export interface LogDestination {
  write(line: string): void
  flushSync?(): void
}

/** Fields that are never written, at the top and one level below: a last net, not a licence to log them. */
const hidden = [
  'password',
  'secret',
  'masterKey',
  'nkeySeed',
  'connectionstring',
  'token',
  'roomKey',
  'body',
  'text',
  'xml',
]

/** Creates a log of JSON lines: `{"level":"info","time":"2026-01-01T00:00:00.000Z",…,"msg":"…"}`. */
export function createLogger({ level = 'info', fields = {}, destination = standardOutput() }: LogOptions = {}): Log {
  const options: pino.LoggerOptions = {
    level,
    base: fields,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) },
    redact: { paths: hidden.flatMap(name => [name, `*.${name}`]), censor: '[hidden]' },
  }
  return toLog(pino(options, destination), () => destination.flushSync?.())
}

/** Written at once, as Node writes to a pipe anyway: the last line before a crash or a kill must not be lost. */
function standardOutput(): LogDestination {
  return pino.destination({ dest: 1, sync: true })
}

function toLog(logger: pino.Logger, flush: () => void): Log {
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    child: fields => toLog(logger.child(fields), flush),
    flush,
  }
}
