import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import type { Logger } from '@spectrum/network'
import type { Launcher } from './launcher.ts'
import { Patience } from './patience.ts'

export interface KubernetesLauncherOptions {
  /** `https://host:port` */
  readonly apiServer: string
  readonly statefulSet: string
  /** Empty: that of the service account. */
  readonly namespace: string
  /** Folder with `token`, `ca.crt` and `namespace`. */
  readonly serviceAccount: string
  /** How long one worker too many is suffered. */
  readonly idleMs: number
  readonly log: Logger
  readonly onScaled: (result: 'up' | 'down' | 'failed') => void
}

/** The API server refused, or did not answer as it should. */
export class KubernetesError extends Error {
  override name = 'KubernetesError'
}

interface Scale {
  readonly spec: { readonly replicas: number }
}

const timeoutMs = 5_000
const maxAnswerBytes = 1_048_576

/**
 * Sets how many pods the StatefulSet of the workers has, by its `scale` subresource (Kubernetes API, autoscaling/v1 Scale).
 * The service account may `get` and `patch` that one subresource. Somebody else who scales the same StatefulSet, such as an
 * HPA, would be overruled each time: there must be none.
 *
 * Up at once; down by one pod at a time, after `idleMs` each: the pod with the highest number then hands its backends over.
 * Disposing changes nothing: the pods are not this router's.
 */
export class KubernetesLauncher implements Launcher {
  readonly #options: KubernetesLauncherOptions
  readonly #surplus: Patience
  #scaling: Promise<void> | undefined

  constructor(options: KubernetesLauncherOptions) {
    this.#options = options
    this.#surplus = new Patience(options.idleMs)
  }

  wanted(workers: number): void {
    this.#scaling ??= this.#scaleTo(workers)
      .catch(error => {
        this.#options.onScaled('failed')
        this.#options.log.warn({ err: error, workers }, 'the workers could not be scaled; trying again')
      })
      .finally(() => {
        this.#scaling = undefined
      })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scaling
  }

  async #scaleTo(workers: number): Promise<void> {
    const { log, onScaled } = this.#options
    const { replicas } = (await this.#call('GET')).spec
    const isDown = this.#surplus.isOver(replicas > workers)
    if (replicas >= workers && !isDown) return
    const wanted = isDown ? replicas - 1 : workers
    await this.#call('PATCH', { spec: { replicas: wanted } })
    onScaled(isDown ? 'down' : 'up')
    log.info({ from: replicas, to: wanted }, 'the workers were scaled')
  }

  async #call(method: 'GET' | 'PATCH', body?: object): Promise<Scale> {
    const { apiServer, statefulSet } = this.#options
    // Read each time: Kubernetes replaces the token while we run.
    const [token, ca, namespace] = await Promise.all([this.#read('token'), this.#read('ca.crt'), this.#namespace()])
    const path = `/apis/apps/v1/namespaces/${encodeURIComponent(namespace)}/statefulsets/${encodeURIComponent(statefulSet)}/scale`
    const headers = {
      authorization: `Bearer ${token.trim()}`,
      accept: 'application/json',
      ...(body ? { 'content-type': 'application/merge-patch+json' } : {}),
    }
    const answer = await ask(new URL(path, apiServer), { method, headers, ca }, body && JSON.stringify(body))
    return toScale(answer)
  }

  #read(file: string): Promise<string> {
    return readFile(join(this.#options.serviceAccount, file), 'utf8')
  }

  async #namespace(): Promise<string> {
    return this.#options.namespace || (await this.#read('namespace')).trim()
  }
}

function toScale(text: string): Scale {
  const answer: unknown = JSON.parse(text)
  const spec = typeof answer === 'object' && answer !== null && 'spec' in answer ? answer.spec : undefined
  // A count of none is left out of the answer.
  const replicas = typeof spec === 'object' && spec !== null && 'replicas' in spec ? spec.replicas : 0
  if (typeof replicas !== 'number') throw new KubernetesError('the answer is no Scale')
  return { spec: { replicas } }
}

/** One request over TLS with the given authority alone. @throws KubernetesError for any status but 2xx */
function ask(
  url: URL,
  options: { method: string; headers: Record<string, string>; ca: string },
  body = '',
): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = request(url, { ...options, signal: AbortSignal.timeout(timeoutMs) }, response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('error', reject)
      response.on('data', (chunk: string) => {
        text += chunk
        if (text.length > maxAnswerBytes) response.destroy(new KubernetesError('the answer is too long'))
      })
      response.on('end', () => {
        const { statusCode = 0 } = response
        if (statusCode >= 200 && statusCode < 300) resolve(text)
        else reject(new KubernetesError(`the API server answered ${statusCode} to ${options.method}`))
      })
    })
    call.on('error', reject)
    call.end(body)
  })
}
