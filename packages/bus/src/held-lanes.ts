import { type Connection, errCodes, JetStreamError } from './connection.ts'
import { jetStreamApi, type Lane } from './subjects.ts'

interface StreamReply {
  state: { subjects?: Record<string, number> }
}

/** The lanes of the same stream as `lane` that hold anything, finished or not: {@link Lane.subject} and how many messages. */
export async function heldLanes(connection: Connection, lane: Lane): Promise<ReadonlyMap<string, number>> {
  const held = new Map<string, number>()
  try {
    const request = { subjects_filter: lane.streamSubjects }
    const { state } = await connection.api<StreamReply>(jetStreamApi.streamInfo(lane.stream), request)
    for (const [subject, messages] of Object.entries(state.subjects ?? {})) {
      const withoutPublisher = subject.slice(0, subject.lastIndexOf('.'))
      held.set(withoutPublisher, (held.get(withoutPublisher) ?? 0) + messages)
    }
  } catch (error) {
    if (!(error instanceof JetStreamError && error.errCode === errCodes.streamNotFound)) throw error
  }
  return held
}
