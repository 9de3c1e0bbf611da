import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { xml } from './element.ts'
import { conditionOf, errorReply } from './errors.ts'
import { formElement, submittedForm } from './forms.ts'

describe('data forms', () => {
  test('what is offered can be read back', () => {
    const form = formElement({
      type: 'form',
      title: 'T',
      formType: 'urn:x',
      fields: [
        { name: 'a', type: 'text-single', isRequired: true, values: ['1'] },
        { name: 'b', type: 'list-multi', values: ['2', '3'] },
      ],
    })
    const read = submittedForm(xml('query', {}, form))
    assert.equal(read?.formType, 'urn:x')
    assert.deepEqual(read?.values.get('b'), ['2', '3'])
    assert.equal(submittedForm(xml('query')), undefined)
  })
})

describe('errors', () => {
  test('answer with addresses swapped, and are read back', () => {
    const stanza = xml('message', { from: 'a@b/c', to: 'd@e', id: '1', type: 'chat' })
    const error = errorReply(stanza, { type: 'cancel', condition: 'gone', text: 'Away' })
    assert.deepEqual({ ...error.attrs }, { from: 'd@e', to: 'a@b/c', id: '1', type: 'error' })
    assert.equal(conditionOf(error), 'gone')
    assert.equal(conditionOf(stanza), 'undefined-condition')
  })
})
