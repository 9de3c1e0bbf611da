/**
 * Names a batch for ever: the server drops a second one with the same id (within its window, per stream: therefore the
 * lane is part of it), the consumer drops one whose number it has passed.
 */
export interface BatchId {
  /** Process and life of the publisher. */
  readonly publisher: string
  /** From 1, without gaps. */
  readonly number: number
}

export const batchIdHeader = 'Nats-Msg-Id'

/** `<lane>|<process>|<epoch>|<number>` */
export const formatBatchId = (lane: string, process: string, epoch: number, number: number): string =>
  `${lane}|${process}|${epoch}|${number}`

/** Undefined for an id of another make. */
export function parseBatchId(id: string): BatchId | undefined {
  const end = id.lastIndexOf('|')
  const start = id.indexOf('|')
  const number = Number(id.slice(end + 1))
  if (start < 0 || start === end || !Number.isSafeInteger(number) || number < 1) return undefined
  return { publisher: id.slice(start + 1, end), number }
}
