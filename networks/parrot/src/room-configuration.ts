import type { Form, FormValues } from '@spectrum/network'
import type { Room } from './room.ts'

/** The settings of a room as its owner sees them. */
export function readConfiguration({ id, facts, password }: Room): Form {
  return {
    title: `Settings of ${id}`,
    fields: [
      { name: 'name', label: 'Name', type: 'text', value: facts.name ?? id },
      { name: 'description', label: 'Description', type: 'text', value: facts.description ?? '' },
      {
        name: 'moderated',
        label: 'New visitors may not speak',
        type: 'boolean',
        value: String(facts.isModerated === true),
      },
      { name: 'hidden', label: 'Not listed', type: 'boolean', value: String(facts.isHidden === true) },
      { name: 'password', label: 'Password (empty: none)', type: 'secret', value: password ?? '' },
    ],
  }
}

/** Takes the settings over and tells everybody in the room. */
export function writeConfiguration(room: Room, values: FormValues): void {
  room.facts = {
    ...room.facts,
    ...(values.name === undefined ? {} : { name: values.name }),
    ...(values.description === undefined ? {} : { description: values.description }),
    ...(values.moderated === undefined ? {} : { isModerated: values.moderated === 'true' }),
    ...(values.hidden === undefined ? {} : { isHidden: values.hidden === 'true' }),
    ...(values.password === undefined ? {} : { isPasswordProtected: values.password !== '' }),
  }
  if (values.password !== undefined) room.password = values.password === '' ? undefined : values.password
  const { id, facts } = room
  room.tell(() => ({ type: 'room-facts', room: id, facts }))
}
