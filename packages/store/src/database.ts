import { setTimeout as delay } from 'node:timers/promises'
import type { PrismaClient } from './gen/postgresql/client.ts'
import { StoreUnavailableError } from './store-error.ts'

/** An open database of either kind: the models are the same, so the PostgreSQL client's types serve for both. */
export interface Database extends AsyncDisposable {
  readonly client: PrismaClient
}

/** How long a request to the database may take before it counts as failed. */
export const requestTimeoutMs = 5_000

/** What Prisma says of a broken promise between rows: unique (P2002), reference (P2003), nothing found (P2025). */
export type Constraint = 'unique' | 'reference' | 'missing'

const constraints: Readonly<Record<string, Constraint>> = { P2002: 'unique', P2003: 'reference', P2025: 'missing' }

/** Which constraint an error of Prisma is about; undefined for any other error. */
export function constraintOf(error: unknown): Constraint | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? constraints[code] : undefined
}

/**
 * Awaits work in the database for at most {@link requestTimeoutMs}. Errors about constraints and mistakes in our own
 * queries pass as they are; all else becomes {@link StoreUnavailableError} with the cause kept.
 */
export async function inTime<Result>(work: PromiseLike<Result>): Promise<Result> {
  const ended = new AbortController()
  const tooLate = delay(requestTimeoutMs, undefined, { signal: ended.signal, ref: false }).then(
    () => {
      throw new StoreUnavailableError(`The database did not answer within ${requestTimeoutMs / 1000} s.`)
    },
    // The work was faster: nobody awaits this side of the race any more.
    () => new Promise<never>(() => {}),
  )
  try {
    return await Promise.race([work, tooLate])
  } catch (error) {
    if (error instanceof StoreUnavailableError || constraintOf(error) !== undefined) throw error
    if (error instanceof Error && error.name === 'PrismaClientValidationError') throw error
    throw new StoreUnavailableError('The database failed.', { cause: error })
  } finally {
    ended.abort()
  }
}
