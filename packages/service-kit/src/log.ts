import pino from 'pino'
import { redact } from './redaction.ts'

/**
 * Fields first, then a fixed sentence: never bodies, never secrets (fields with such names are hidden all the same).
 * Satisfies `Logger` of `@spectrum/network`. Ids stand under the same keys everywhere: `login`, `chat`, `backend`, `lane`. An error stands under `err`.
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

type Level = 'debug' | 'info' | 'warn' | 'error'

export interface LogOptions {
  /** Least severe line that is written. Default `info`. */
  readonly level?: Level
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

/** Creates a log of JSON lines: `{"level":"info","time":"2026-01-01T00:00:00.000Z",…,"msg":"…"}`. */
export function createLogger({ level = 'info', fields = {}, destination = standardOutput() }: LogOptions = {}): Log {
  const options: pino.LoggerOptions = {
    level,
    base: redact(fields),
    serializers: { err: (error: unknown) => error },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: label => ({ level: label }) },
  }
  return toLog(pino(options, destination), () => destination.flushSync?.())
}

/** Written at once, as Node writes to a pipe anyway: the last line before a crash or a kill must not be lost. */
function standardOutput(): LogDestination {
  return pino.destination({ dest: 1, sync: true })
}

function toLog(logger: pino.Logger, flush: () => void): Log {
  const at = (level: Level) => (fields: object, message: string) => {
    if (logger.isLevelEnabled(level)) logger[level](redact(fields), message)
  }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: fields => toLog(logger.child(redact(fields)), flush),
    flush,
  }
}
