import { type Database, inTime } from './database.ts'
import { Prisma } from './gen/postgresql/client.ts'

/** What is written of one session. */
export interface SavedLiveSession {
  /** Bare JID. */
  readonly user: string
  /** Grows with every session of the user. */
  readonly generation: number
  /** What the session is restored from; left out: the session of that generation is over. */
  readonly snapshot?: Uint8Array
  /** A resource uses it. */
  readonly isOnline: boolean
}

/** A session that was live when it was last written. */
export interface LiveSession {
  readonly user: string
  readonly generation: number
  readonly snapshot: Uint8Array
}

/**
 * The sessions of an instance's users as they were some seconds ago, one row for each user: what they are restored from when
 * the bus has lost its tables. Every method rejects StoreUnavailableError when the database is away.
 */
export class LiveSessions {
  readonly #database: Database
  readonly #instance: string

  constructor(database: Database, instance: string) {
    this.#database = database
    this.#instance = instance
  }

  /**
   * Writes all at once. An older generation never replaces a newer one, and a session that is over stays over, in whatever
   * order writes arrive. The last of several for one user counts. Of a user without an account nothing is kept: who has
   * unregistered leaves no row behind, though the worker tells of the end a moment later.
   */
  async save(sessions: readonly SavedLiveSession[]): Promise<void> {
    const byUser = new Map(sessions.map(session => [session.user, session]))
    if (byUser.size === 0) return
    const now = new Date()
    const rows = [...byUser.values()].map(({ user, generation, snapshot, isOnline }) => {
      // PostgreSQL must be told the type of a value that is NULL in every row.
      const bytes = snapshot === undefined ? Prisma.sql`NULL` : Prisma.sql`${Uint8Array.from(snapshot)}`
      return Prisma.sql`(${this.#instance}, ${user}, ${BigInt(generation)}, ${bytes}, ${isOnline}, ${now})`
    })
    const users = Prisma.join([...byUser.keys()])
    await inTime(
      this.#database.client.$transaction([
        this.#database.client.$executeRaw(Prisma.sql`
          INSERT INTO live_sessions (instance, "user", generation, snapshot, is_online, updated_at)
          VALUES ${Prisma.join(rows)}
          ON CONFLICT (instance, "user") DO UPDATE SET
            generation = excluded.generation,
            snapshot = excluded.snapshot,
            is_online = excluded.is_online,
            updated_at = excluded.updated_at
          WHERE live_sessions.generation < excluded.generation
            OR (live_sessions.generation = excluded.generation AND live_sessions.snapshot IS NOT NULL)`),
        this.#database.client.$executeRaw(Prisma.sql`
          DELETE FROM live_sessions WHERE instance = ${this.#instance} AND "user" IN (${users}) AND NOT EXISTS (
            SELECT 1 FROM accounts
            WHERE accounts.instance = live_sessions.instance AND accounts."user" = live_sessions."user")`),
      ]),
    )
  }

  /** Undefined when there is none, or it is over. */
  async find(user: string): Promise<LiveSession | undefined> {
    const row = await inTime(
      this.#database.client.liveSession.findUnique({
        where: { instance_user: { instance: this.#instance, user } },
        select: { generation: true, snapshot: true },
      }),
    )
    if (row === null || row.snapshot === null) return undefined
    return { user, generation: Number(row.generation), snapshot: row.snapshot }
  }

  /** Sessions that are not over, in the order of their users. @param after the user that the previous page ended with */
  async page(limit: number, after?: string): Promise<LiveSession[]> {
    const rows = await inTime(
      this.#database.client.liveSession.findMany({
        where: {
          instance: this.#instance,
          snapshot: { not: null },
          ...(after === undefined ? {} : { user: { gt: after } }),
        },
        orderBy: { user: 'asc' },
        take: limit,
        select: { user: true, generation: true, snapshot: true },
      }),
    )
    return rows.flatMap(({ user, generation, snapshot }) =>
      snapshot === null ? [] : [{ user, generation: Number(generation), snapshot }],
    )
  }

  /** How many are not over. */
  count(): Promise<number> {
    return inTime(
      this.#database.client.liveSession.count({ where: { instance: this.#instance, snapshot: { not: null } } }),
    )
  }

  /** Forgets sessions that ended before this time; their late writes have long arrived. Returns how many. */
  async forgetEnded(before: Date): Promise<number> {
    const where = { instance: this.#instance, snapshot: null, updatedAt: { lt: before } }
    const { count } = await inTime(this.#database.client.liveSession.deleteMany({ where }))
    return count
  }
}
