// XEP-0004: Data Forms

import { childOf, type Element, textOf, xml } from './element.ts'
import { namespaces } from './namespaces.ts'

/** XEP-0004 section 3.3. */
export type FieldType =
  | 'boolean'
  | 'fixed'
  | 'hidden'
  | 'jid-multi'
  | 'jid-single'
  | 'list-multi'
  | 'list-single'
  | 'text-multi'
  | 'text-private'
  | 'text-single'

export interface DataField {
  readonly name: string
  readonly type: FieldType
  readonly label?: string
  readonly isRequired?: boolean
  readonly values?: readonly string[]
  readonly options?: readonly { readonly value: string; readonly label?: string }[]
}

export interface DataForm {
  readonly type: 'form' | 'result'
  readonly title?: string
  readonly instructions?: string
  /** FORM_TYPE (XEP-0068). */
  readonly formType?: string
  readonly fields: readonly DataField[]
}

/** The form as an element. */
export function formElement(form: DataForm): Element {
  return xml(
    'x',
    { xmlns: namespaces.dataForms, type: form.type },
    form.title !== undefined && xml('title', {}, form.title),
    form.instructions !== undefined && xml('instructions', {}, form.instructions),
    form.formType !== undefined && fieldElement({ name: 'FORM_TYPE', type: 'hidden', values: [form.formType] }),
    ...form.fields.map(fieldElement),
  )
}

function fieldElement(field: DataField): Element {
  return xml(
    'field',
    { var: field.name, type: field.type, label: field.label },
    field.isRequired === true && xml('required'),
    ...(field.values ?? []).map(value => xml('value', {}, value)),
    ...(field.options ?? []).map(({ value, label }) => xml('option', { label }, xml('value', {}, value))),
  )
}

/** What came back. */
export interface SubmittedForm {
  /** `submit`, `cancel`, or whatever the client wrote. */
  readonly type: string
  readonly formType?: string
  /** All values of each field; a field without any has an empty list. */
  readonly values: ReadonlyMap<string, readonly string[]>
}

/** Reads the form in an element, `undefined` when there is none. */
export function submittedForm(parent: Element): SubmittedForm | undefined {
  const form = childOf(parent, 'x', namespaces.dataForms)
  if (form === undefined) return undefined
  const values = new Map<string, readonly string[]>()
  for (const field of form.getChildren('field')) {
    const name: unknown = field.attrs.var
    if (typeof name === 'string')
      values.set(
        name,
        field.getChildren('value').map(value => value.getText()),
      )
  }
  const formType = values.get('FORM_TYPE')?.[0]
  return { type: String(form.attrs.type ?? ''), values, ...(formType === undefined ? {} : { formType }) }
}

/** True for the two spellings of a set boolean (XEP-0004 section 3.3). */
export const isTrue = (value: string | undefined): boolean => value === '1' || value === 'true'

/** The text of a field of the legacy kind: a child element of that name. */
export const legacyField = (query: Element, name: string): string | undefined => textOf(query, name)
