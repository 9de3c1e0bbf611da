/** The database cannot be used now: away, too slow, or it failed. Trying again later may help. */
export class StoreUnavailableError extends Error {
  override name = 'StoreUnavailableError'
}

/** The database must not be used with this configuration; trying again will not help. The message is one sentence. */
export class StoreRefusedError extends Error {
  override name = 'StoreRefusedError'
}

/** Another user has registered this username on a network where each can be registered once. */
export class UsernameTakenError extends Error {
  override name = 'UsernameTakenError'
}

/** What is stored was sealed with another master key, or was altered. */
export class UnsealError extends Error {
  override name = 'UnsealError'
}
