import { type Config, ConfigError, type LoadedConfig } from '@spectrum/config'
import { startHealthServer } from './health.ts'
import { createLogger, type Log } from './log.ts'
import { Registry } from './metrics.ts'
import { defineProcessMetrics } from './process-metrics.ts'
import { closeInOrder, endByForce } from './shutdown.ts'
import { stopSignal } from './stop-signal.ts'
import { startTracing } from './tracing.ts'

/** What a service gets to build itself with. */
export interface ServiceContext {
  readonly config: Config
  readonly log: Log
  /** Where `defineMetrics` registers; shown on `/metrics`. */
  readonly registry: Registry
  /** Aborts when the process was asked to stop: before the service is disposed, possibly while it still starts. */
  readonly stopping: AbortSignal
}

/** A service that runs. Disposing drains it: takes no new work, finishes or hands over what there is, closes. */
export interface RunningService extends AsyncDisposable {
  /** Asked at each `/readyz`: true when it can do its work, else why not in a few words. Left out: always ready. */
  ready?(): boolean | string
}

export interface ServiceDefinition {
  /** `frontend`, `router`, `worker` */
  readonly name: string
  readonly version: string
  /** The configuration, or how to load it; the latter way a ConfigError is printed line by line. */
  readonly config: LoadedConfig | (() => LoadedConfig)
  /** Builds the service, and fulfils when it runs. Gives up soon after `context.stopping` aborts. */
  start(context: ServiceContext): Promise<RunningService>
  /** How long draining may take before the process is ended all the same. Default 20 s. */
  readonly drainMs?: number
}

/** EX_CONFIG of sysexits: a supervisor need not try again. */
const badConfiguration = 78

/**
 * Runs one service until SIGTERM or SIGINT, then drains it; fulfils when all is closed, never rejects. Sets the exit
 * code: 0 after a clean drain, 78 for a bad configuration, 1 when the start or the drain failed. An error that nobody
 * caught is logged and ends the process at once with 1. Further signals change nothing. If the event loop does not
 * empty after the drain, the process is ended with SIGKILL.
 */
export async function runService(definition: ServiceDefinition): Promise<void> {
  const loaded = loadOrExplain(definition.config)
  if (!loaded) {
    process.exitCode = badConfiguration
    return
  }
  const { config, warnings } = loaded
  const { name, version, drainMs = 20_000 } = definition
  const log = createLogger({
    level: config.log.level,
    fields: { service: name, jid: config.service.jid, pid: process.pid },
  })
  for (const finding of warnings) log.warn({ finding }, 'a setting is not used as written')

  const registry = new Registry()
  registry.setDefaultLabels({ service: name, jid: config.service.jid })
  const metrics = defineProcessMetrics(registry, { version })
  // Node itself then ends the process, with 1: what is known of the state is nothing, and others take over.
  process.on('uncaughtExceptionMonitor', (error, origin) => {
    metrics.uncaughtErrors.inc({ origin })
    log.error({ err: error, origin }, 'an error was not caught and ends the process')
    log.flush()
  })

  const stop = stopSignal()
  const stopping = new AbortController()
  let running: RunningService | undefined
  let health: AsyncDisposable | undefined
  let tracing: AsyncDisposable | undefined
  const ready = () => (stopping.signal.aborted ? 'draining' : running ? (running.ready?.() ?? true) : 'starting')
  const begin = async () => {
    if (config.http.port !== 0) health = await startHealthServer({ ...config.http, registry, log, ready })
    if (config.tracing.otlpEndpoint !== '') {
      tracing = await startTracing({
        endpoint: config.tracing.otlpEndpoint,
        sampleRatio: config.tracing.sampleRatio,
        resource: {
          'service.name': `spectrum-${name}`,
          'service.version': version,
          'spectrum.jid': config.service.jid,
        },
        onSpans: (result, count) => metrics.spans.inc({ result }, count),
        onFailure: error => log.warn({ err: error }, 'spans could not be sent'),
      })
    }
    running = await definition.start({ config, log, registry, stopping: stopping.signal })
    log.info({ version, network: config.network.id }, 'the service runs')
  }

  const begun = begin().then(
    () => undefined,
    (error: unknown) => ({ error }),
  )
  const cause = await Promise.race([stop.wanted, begun.then(async failure => failure ?? (await stop.wanted))])
  if (typeof cause === 'string') log.info({ signal: cause }, 'draining')
  else log.error({ err: cause.error }, 'the service could not start')
  stopping.abort()

  const deadline = performance.now() + drainMs
  const closeService = async () => {
    const failure = await begun
    if (failure && typeof cause === 'string') log.warn({ err: failure.error }, 'the start was given up')
    await running?.[Symbol.asyncDispose]()
  }
  const isClean = await closeInOrder(
    [
      { name: 'service', close: closeService },
      { name: 'tracing', close: async () => tracing?.[Symbol.asyncDispose]() },
      { name: 'health server', close: async () => health?.[Symbol.asyncDispose]() },
    ],
    drainMs,
    log,
  )
  process.exitCode = isClean && typeof cause === 'string' ? 0 : 1
  log.info({ exitCode: process.exitCode }, 'stopped')
  stop[Symbol.dispose]()
  endByForce(Math.max(1_000, deadline - performance.now()), log)
}

function loadOrExplain(config: ServiceDefinition['config']): LoadedConfig | undefined {
  if (typeof config !== 'function') return config
  try {
    return config()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write(`The configuration cannot be used:\n${error.mistakes.map(line => `  ${line}\n`).join('')}`)
    return undefined
  }
}
