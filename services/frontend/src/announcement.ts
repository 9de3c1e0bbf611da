import { type Bus, commandLane, instancePrefix, numberOfKey, protoValue } from '@spectrum/bus'
import { Backend, commandCodec } from '@spectrum/messages'
import type { Logger } from '@spectrum/network'

const retryMs = 500
const attempts = 60

/** Tells the sessions of every backend that there is a new stream, so that they have their resources verified. */
export function announceStream(parts: { readonly bus: Bus; readonly instance: string; readonly log: Logger }): void {
  const { log } = parts
  void (async () => {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      try {
        await announce(parts)
        return
      } catch (error) {
        if (attempt === attempts) log.warn({ err: error }, 'sessions could not be told of the new stream')
        await new Promise(resolve => setTimeout(resolve, retryMs).unref())
      }
    }
  })()
}

async function announce({ bus, instance }: { readonly bus: Bus; readonly instance: string }): Promise<void> {
  const backends: number[] = []
  const records = bus.table('backends', protoValue(Backend))
  for await (const { key } of records.list(instancePrefix(instance))) backends.push(numberOfKey(key))
  const at = Date.now().toString(36)
  for (const backend of backends) {
    bus.publisher(commandLane(instance, backend), commandCodec).publish({
      // The same however often it is tried.
      key: `${bus.processId}.connected.${at}.${backend}`,
      user: '',
      resource: '',
      generation: 0,
      forwards: 0,
      traceparent: '',
      stanzaId: '',
      command: { $case: 'componentConnected', value: { frontend: bus.processId } },
    })
  }
}
