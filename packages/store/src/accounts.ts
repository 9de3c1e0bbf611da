import { constraintOf, type Database, inTime } from './database.ts'
import type { MasterKey } from './master-key.ts'
import { StoreUnavailableError, UsernameTakenError } from './store-error.ts'

/** A user who registered with the gateway. */
export interface Account {
  /** Bare JID. */
  readonly user: string
  /** On the network. */
  readonly username: string
  readonly language: string
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** What is stored of an account. */
export interface NewAccount {
  readonly username: string
  /** Whatever must be kept secret, in bytes; sealed before it is stored. */
  readonly secret: Uint8Array
  /** True: no other user may register this username, in upper or lower case (networks without passwords). */
  readonly isExclusive: boolean
  /** Language tag; default none. */
  readonly language?: string
}

const columns = { user: true, username: true, language: true, createdAt: true, updatedAt: true } as const
const purpose = 'credentials'

/** Networks compare names without regard to case, each in its own way; what differs in nothing else is taken for one name. */
const claimOf = (username: string) => username.toLowerCase()

/** The accounts of one instance. Every method rejects StoreUnavailableError when the database is away. */
export class Accounts {
  readonly #database: Database
  readonly #masterKey: MasterKey
  readonly #instance: string

  constructor(database: Database, masterKey: MasterKey, instance: string) {
    this.#database = database
    this.#masterKey = masterKey
    this.#instance = instance
  }

  async find(user: string): Promise<Account | undefined> {
    return (await inTime(this.#rows.findUnique({ where: this.#key(user), select: columns }))) ?? undefined
  }

  /** The account with its secret in clear; the caller wipes it. Rejects UnsealError under a wrong master key. */
  async open(user: string): Promise<{ account: Account; secret: Buffer } | undefined> {
    const row = await inTime(this.#rows.findUnique({ where: this.#key(user) }))
    if (!row) return undefined
    const { username, language, createdAt, updatedAt } = row
    const secret = this.#masterKey.unseal(row, purpose, this.#instance, user)
    return { account: { user, username, language, createdAt, updatedAt }, secret }
  }

  /**
   * Stores the account, replacing what was stored of the user before; contacts and settings stay.
   * @throws UsernameTakenError when the name is exclusive and another user's
   */
  async save(user: string, account: NewAccount): Promise<'created' | 'replaced'> {
    const { username, isExclusive, language = '' } = account
    const sealed = this.#masterKey.seal(account.secret, purpose, this.#instance, user)
    const claim = isExclusive ? claimOf(username) : null
    const data = { username, language, claim, ...sealed }
    // The user's own second registration may cross this one: then the row exists on the second look.
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        const { count } = await inTime(this.#rows.updateMany({ where: { instance: this.#instance, user }, data }))
        if (count > 0) return 'replaced'
        await inTime(this.#rows.create({ data: { instance: this.#instance, user, ...data }, select: { user: true } }))
        return 'created'
      } catch (error) {
        if (constraintOf(error) !== 'unique') throw error
        if (claim !== null && (await this.#isTaken(user, claim))) {
          throw new UsernameTakenError(`${username} is registered by somebody else.`)
        }
      }
    }
    throw new StoreUnavailableError('The account was changed by others at the same time, again and again.')
  }

  /** Replaces the secret alone (a renewed token); false when there is no such account. */
  async saveSecret(user: string, secret: Uint8Array): Promise<boolean> {
    const sealed = this.#masterKey.seal(secret, purpose, this.#instance, user)
    const where = { instance: this.#instance, user }
    const { count } = await inTime(this.#rows.updateMany({ where, data: { ...sealed } }))
    return count > 0
  }

  /** Removes every row of the user, and tells what was there. */
  async remove(user: string): Promise<{ wasRegistered: boolean; contacts: string[] }> {
    const where = { instance: this.#instance, user }
    const { contact, setting, liveSession, account } = this.#database.client
    const [contacts, , , , { count }] = await inTime(
      this.#database.client.$transaction([
        contact.findMany({ where, select: { name: true }, orderBy: { name: 'asc' } }),
        contact.deleteMany({ where }),
        setting.deleteMany({ where }),
        liveSession.deleteMany({ where }),
        account.deleteMany({ where }),
      ]),
    )
    return { wasRegistered: count > 0, contacts: contacts.map(({ name }) => name) }
  }

  /** In the order of their JIDs. @param after the JID that the previous page ended with */
  async page(limit: number, after?: string): Promise<Account[]> {
    const where = { instance: this.#instance, ...(after === undefined ? {} : { user: { gt: after } }) }
    return inTime(this.#rows.findMany({ where, orderBy: { user: 'asc' }, take: limit, select: columns }))
  }

  count(): Promise<number> {
    return inTime(this.#rows.count({ where: { instance: this.#instance } }))
  }

  async #isTaken(user: string, claim: string): Promise<boolean> {
    const owner = await inTime(
      this.#rows.findFirst({ where: { instance: this.#instance, claim }, select: { user: true } }),
    )
    return owner !== null && owner.user !== user
  }

  get #rows() {
    return this.#database.client.account
  }

  #key(user: string) {
    return { instance_user: { instance: this.#instance, user } }
  }
}
