/**
 * Where the router keeps accounts, contacts and settings: Prisma on PostgreSQL or SQLite, one repository for each topic.
 * The only importer of Prisma.
 */
export type { Account, Accounts, NewAccount } from './accounts.ts'
export type { Contacts, StoredContact } from './contacts.ts'
export type { InstanceKeys, KeyPair } from './instance-keys.ts'
export type { LiveSession, LiveSessions, SavedLiveSession } from './live-sessions.ts'
export { openStore, type Store, type StoreOptions } from './open-store.ts'
export type { PostgresqlAddress } from './postgresql.ts'
export type { Settings } from './settings.ts'
export { StoreRefusedError, StoreUnavailableError, UnsealError, UsernameTakenError } from './store-error.ts'
