/** A form as plain data; the frontend renders it as a data form (XEP-0004) or as chat. */
export interface Form {
  readonly title: string
  readonly instructions?: string
  readonly fields: readonly FormField[]
}

export interface FormField {
  readonly name: string
  readonly label: string
  readonly type: 'text' | 'secret' | 'boolean' | 'choice' | 'lines' | 'fixed'
  readonly required?: boolean
  /** Booleans as `true` or `false`. */
  readonly value?: string | readonly string[]
  readonly choices?: readonly { readonly value: string; readonly label: string }[]
}

/** What came back: only names that the form had, each a text; `lines` are joined by newlines. */
export type FormValues = Readonly<Record<string, string>>
