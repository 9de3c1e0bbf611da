import { type BusOptions, instanceKey } from '@spectrum/bus'
import { Command, SendMessage } from '@spectrum/messages'

export const instance = instanceKey('bench.example.org')

const body = 'A line of chat as people write them, neither long nor short.'

/** A message to a room, stamped with the time of its making, which travels as its key. */
export function stampedMessage(user: string): Command {
  const message = SendMessage.fromPartial({ to: { name: '#bench', node: '#bench' }, kind: 1, body, originId: 'o1' })
  return Command.fromPartial({
    key: String(nowMs()),
    user,
    resource: 'phone',
    generation: 1,
    stanzaId: 's1',
    command: { $case: 'sendMessage', value: message },
  })
}

/** Milliseconds of one clock for all processes of this machine, with fractions. */
export const nowMs = (): number => performance.timeOrigin + performance.now()

export const ageMs = (command: Command): number => nowMs() - Number(command.key)

const complain = (fields: object, message: string) => console.error(message, fields)
export const quiet: BusOptions['log'] = { debug: () => {}, info: () => {}, warn: complain, error: complain }
