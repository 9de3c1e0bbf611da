import type { Form, FormValues } from './forms.ts'

/**
 * What the stored account says: Spectrum 2's legacy name and password, and whatever a {@link LoginFlow} obtained.
 * The password and `extra` exist in clear only in the process that runs the session.
 */
export interface Account {
  /** The name on the network (IRC: the nick). */
  readonly username: string
  readonly password?: string
  /** Tokens and keys that a login flow obtained, in the network's own shape; stored sealed. */
  readonly extra?: unknown
  /** Per-user settings (Spectrum 2's users_settings) that concern the network. */
  readonly settings: Readonly<Record<string, string>>
}

/** One way of signing in beyond name and password. Written as straight-line code: ask, wait, return. */
export interface LoginFlow {
  readonly id: string
  readonly label: string
  /** Rejects with a NetworkError; `signal` aborts when the user gives up. */
  run(prompt: LoginPrompt, signal: AbortSignal): Promise<Pick<Account, 'username' | 'password' | 'extra'>>
}

/** What a flow may put in front of the user; the frontend renders it as a data form or as chat. */
export interface LoginPrompt {
  form(form: Form): Promise<FormValues>
  show(display: { readonly qr: string } | { readonly code: string } | { readonly link: URL }): Promise<void>
}
