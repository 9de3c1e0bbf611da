import type { Config } from '@spectrum/config'
import type { LoginRequest, RegisterRequest, Registration, UnregisterReply } from '@spectrum/messages'
import { type Logger, NetworkError, type NetworkManifest } from '@spectrum/network'
import { type KeyPair, type Store, UsernameTakenError } from '@spectrum/store'
import { assertFits, assertMayRegister, assertUsername, toUsername } from './rules.ts'
import { emptySecret, receivePassword } from './secrets.ts'

export interface RegistrarOptions {
  readonly config: Config
  readonly store: Store
  /** The instance's key pair, to which frontends seal passwords. */
  readonly keys: KeyPair
  readonly manifest: () => Promise<NetworkManifest['registration']>
  readonly log: Logger
  readonly onRegistration: (result: 'created' | 'replaced' | 'removed' | 'automatic') => void
  /** Called after an account was replaced: a live session goes on with what is stored now. */
  readonly onReplaced: (user: string) => Promise<void>
  /** Ends the user's session, if there is one. */
  readonly signOut: (user: string) => Promise<void>
}

/** Who has an account, and with which name (XEP-0077). */
export class Registrar {
  readonly #options: RegistrarOptions

  constructor(options: RegistrarOptions) {
    this.#options = options
  }

  /** @throws NetworkError `not-allowed` for somebody who has no account and may not get one */
  async get(user: string): Promise<Registration> {
    const account = await this.#options.store.accounts.find(user)
    if (!account) assertMayRegister(user, this.#options.config)
    return { isRegistered: account !== undefined, username: account?.username ?? '' }
  }

  /**
   * Stores the account or replaces what was stored; then a live session starts anew with it.
   * @throws NetworkError `not-acceptable`, `not-allowed`, `bad-request`
   */
  async register(request: RegisterRequest): Promise<{ wasRegistered: boolean }> {
    const { config, store, manifest, log, onRegistration, onReplaced } = this.#options
    const { user } = request
    assertMayRegister(user, config)
    const username = toUsername(request.username, user, config)
    const { needsPassword, usernamePattern } = await manifest()
    assertFits(username, usernamePattern)
    const secret = this.#secretOf(request, needsPassword)
    const { language } = config.registration
    try {
      const result = await store.accounts.save(user, { username, secret, isExclusive: !needsPassword, language })
      onRegistration(result)
      log.info({ user, network: config.network.id, result }, 'registered')
      if (result === 'replaced') await onReplaced(user)
      return { wasRegistered: result === 'replaced' }
    } catch (error) {
      if (!(error instanceof UsernameTakenError)) throw error
      // Spectrum 2 answers thus, not with a conflict, and clients know what to do with it.
      throw new NetworkError('not-acceptable', 'Somebody else has registered this user name.', { cause: error })
    } finally {
      secret.fill(0)
    }
  }

  /** Signs the user out and removes every row. */
  async unregister(user: string): Promise<UnregisterReply> {
    const { config, store, log, onRegistration, signOut } = this.#options
    await signOut(user)
    const { wasRegistered, contacts } = await store.accounts.remove(user)
    // Who logged in between the two finds no account from now on.
    await signOut(user)
    if (wasRegistered) {
      onRegistration('removed')
      log.info({ user, network: config.network.id }, 'unregistered')
    }
    return { wasRegistered, contacts }
  }

  /**
   * The account that somebody logs in with: the stored one, else one made now when the configuration or the network lets
   * everybody in (Spectrum 2's auto_register; needRegistration = 0).
   * @throws NetworkError `not-registered`
   */
  async admit({ user, nickHint }: LoginRequest): Promise<{ username: string; settings: Record<string, string> }> {
    const { config, store, manifest, log, onRegistration } = this.#options
    const account = await store.accounts.find(user)
    if (account) return { username: account.username, settings: await store.settings.all(user) }
    if (!config.registration.autoRegister && (await manifest()).isRequired) {
      throw new NetworkError('not-registered', 'Please register with this gateway first.')
    }
    // As in Spectrum 2: the nick of a join, else the JID.
    const username = nickHint || user
    assertUsername(username)
    const { language } = config.registration
    await store.accounts.save(user, { username, secret: emptySecret(), isExclusive: false, language })
    onRegistration('automatic')
    log.info({ user, network: config.network.id, result: 'automatic' }, 'registered')
    return { username, settings: {} }
  }

  #secretOf({ password, hasPassword }: RegisterRequest, needsPassword: boolean) {
    if (hasPassword && password) return receivePassword(this.#options.keys.privateKey, password)
    if (needsPassword) throw new NetworkError('not-acceptable', 'Please enter a password.')
    return emptySecret()
  }
}
