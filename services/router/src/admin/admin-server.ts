import { isIP } from 'node:net'
import { type handleUnaryCall, Server, ServerCredentials, type ServiceError, status } from '@grpc/grpc-js'
import { AdminService } from '@spectrum/messages'
import { failures, type Logger, NetworkError } from '@spectrum/network'
import { StoreUnavailableError } from '@spectrum/store'
import { HealthImplementation } from 'grpc-health-check'

/** The name that health is asked for under, beside the empty one of the whole server. */
const serviceName = 'spectrum.v1.Admin'

/** An answer to an administrator, or a promise of one. */
type Answer<Request, Reply> = (request: Request) => Promise<Reply>

type RequestOf<Method> = Method extends { requestDeserialize(bytes: Buffer): infer Request } ? Request : never
type ReplyOf<Method> = Method extends { responseDeserialize(bytes: Buffer): infer Reply } ? Reply : never

/** One method for each of `proto/spectrum/v1/admin.proto`. */
export type AdminMethods = {
  readonly [Name in keyof AdminService]: Answer<RequestOf<AdminService[Name]>, ReplyOf<AdminService[Name]>>
}

export interface AdminServerOptions {
  readonly host: string
  /** 0: a free one. */
  readonly port: number
  readonly methods: AdminMethods
  readonly log: Logger
}

/** The admin API on gRPC, with the standard health service. */
export class AdminServer implements AsyncDisposable {
  readonly port: number
  readonly #server: Server
  readonly #health: HealthImplementation

  private constructor(server: Server, port: number, health: HealthImplementation) {
    this.#server = server
    this.port = port
    this.#health = health
  }

  /** Fulfils when it listens. Check the address with {@link assertLoopback} before anything is opened. */
  static async start({ host, port, methods, log }: AdminServerOptions): Promise<AdminServer> {
    assertLoopback(host)
    const health = new HealthImplementation({ '': 'NOT_SERVING', [serviceName]: 'NOT_SERVING' })
    const server = new Server({ 'grpc.max_receive_message_length': 1 << 20, 'grpc.max_concurrent_streams': 100 })
    server.addService(AdminService, {
      getStatus: unary(methods.getStatus, log),
      listUsers: unary(methods.listUsers, log),
      listBackends: unary(methods.listBackends, log),
    })
    health.addToServer(server)
    const address = `${isIP(host) === 6 ? `[${host}]` : host}:${port}`
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(address, ServerCredentials.createInsecure(), (error, found) =>
        error ? reject(error) : resolve(found),
      )
    })
    log.info({ host, port: bound }, 'the admin API is served')
    return new AdminServer(server, bound, health)
  }

  /** What the health service answers. */
  setServing(isServing: boolean): void {
    for (const name of ['', serviceName]) this.#health.setStatus(name, isServing ? 'SERVING' : 'NOT_SERVING')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.setServing(false)
    const closed = new Promise<void>((resolve, reject) => {
      this.#server.tryShutdown(error => (error ? reject(error) : resolve()))
    })
    // Watches of health never end by themselves.
    const force = setTimeout(() => this.#server.forceShutdown(), 1_000)
    await closed.finally(() => clearTimeout(force))
  }
}

/**
 * Nobody is asked who they are yet, so nobody else may reach the API.
 * @throws Error with one sentence for an address that is not of this machine alone
 */
export function assertLoopback(host: string): void {
  if (host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))) return
  throw new Error(`grpc.host: the admin API has no access tokens yet, so it listens on loopback only, not on ${host}.`)
}

function unary<Request, Reply>(answer: Answer<Request, Reply>, log: Logger): handleUnaryCall<Request, Reply> {
  return (call, callback) => {
    answer(call.request).then(
      reply => callback(null, reply),
      (error: unknown) => {
        const failure = toServiceError(error)
        if (failure.code === status.INTERNAL) log.error({ err: error, path: call.getPath() }, 'an admin request failed')
        callback(failure)
      },
    )
  }
}

function toServiceError(error: unknown): Partial<ServiceError> {
  if (error instanceof StoreUnavailableError)
    return { code: status.UNAVAILABLE, details: 'The database is not available.' }
  const failure = NetworkError.from(error)
  return { code: status[failures[failure.code].grpc], details: failure.message }
}
