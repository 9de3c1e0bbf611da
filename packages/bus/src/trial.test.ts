import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CrashRecord, emptyCursor, positionsPerMessage } from './cursor.ts'
import { afterDeath, strikesToBury, Trial } from './trial.ts'
import { TrialRoom } from './trial-room.ts'

const cursor = { ...emptyCursor, low: 10 }
const position = 10 * positionsPerMessage

test('owners that die without progress make the next one cautious; progress makes it ordinary again', () => {
  const first = afterDeath(cursor, 20)
  assert.equal(Trial.isDue(first), false)
  assert.ok(first)
  const second = afterDeath({ ...cursor, crashes: first }, 25)
  assert.ok(Trial.isDue(second))
  assert.deepEqual([second.deaths, second.until], [2, 20])
  assert.equal(Trial.isDue(afterDeath({ ...cursor, low: 11, crashes: first }, 25)), false)
  assert.equal(afterDeath({ ...cursor, low: 26, crashes: second }, 25), undefined)
})

test('only what was tried alone when an owner died has a strike; what was tried with others is suspected', () => {
  const crashes = { deaths: 2, low: 10, until: 20, trying: [position, position + 1], suspects: [], strikes: {} }
  const third = afterDeath({ ...cursor, crashes }, 20)
  assert.deepEqual([third?.suspects, third?.strikes], [[position, position + 1], {}])
  assert.ok(third)
  const fourth = afterDeath({ ...cursor, crashes: { ...third, trying: [position] } }, 20)
  assert.deepEqual(fourth?.strikes, { [position]: 1 })
})

test('a trial hands one item after the other, buries what has its strikes, and then lets all go', async () => {
  const done: string[] = []
  const record = {
    deaths: 4,
    low: 10,
    until: 12,
    trying: [],
    suspects: [],
    strikes: { [11 * positionsPerMessage]: strikesToBury },
  }
  const finished = new Set<number>()
  const over = Promise.withResolvers<void>()
  const trial = new Trial<number>(record, {
    positionOf: sequence => sequence * positionsPerMessage,
    hand: sequence => {
      done.push(`hand ${sequence} ${record.trying.length}`)
      setTimeout(() => finished.add(sequence), 20)
    },
    isFinished: sequence => finished.has(sequence),
    bury: sequence => void done.push(`bury ${sequence}`),
    stored: async () => void done.push('stored'),
    isOpen: () => true,
    over: () => {
      done.push('over')
      over.resolve()
    },
    ended: () => void done.push('ended'),
  })
  for (const sequence of [10, 11, 12, 13, 14]) trial.offer(sequence)
  await over.promise
  await new Promise(resolve => setImmediate(resolve))
  assert.deepEqual(done, [
    'stored',
    'hand 10 1',
    'bury 11',
    'stored',
    'hand 12 1',
    'over',
    'stored',
    'ended',
    'hand 13 0',
    'hand 14 0',
  ])
})

test('a death while several lanes are tried is held against the item that was handed over last, or against nobody', async () => {
  const room = new TrialRoom()
  const delay = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))
  const lanes = [0, 1, 2].map(number => {
    const record: CrashRecord = { deaths: 2, low: 10, until: 14, trying: [], suspects: [], strikes: {} }
    return { number, record, stored: structuredClone(record), finished: new Set<number>(), isOrdinary: false }
  })
  let [handed, alone, ordinary] = [0, 0, 0]
  const over = Promise.withResolvers<void>()
  for (const lane of lanes) {
    const { record, finished } = lane
    const low = () => Math.min(...[10, 11, 12, 13, 14, 15].filter(sequence => !finished.has(sequence)))
    const trial = new Trial<number>(
      record,
      {
        positionOf: sequence => sequence * positionsPerMessage,
        hand: sequence => {
          if (lane.isOrdinary) {
            assert.ok(
              lanes.every(({ stored }) => stored.trying.length === 0),
              'nothing is tried any more',
            )
            if (++ordinary === lanes.length) over.resolve()
            return
          }
          handed++
          // What the next owners would know, were this the end of the process.
          for (const { number, stored } of lanes) {
            const after = afterDeath({ ...cursor, low: stored.low, crashes: stored }, 20)
            const struck = Object.keys(after?.strikes ?? {}).map(Number)
            if (number === lane.number) alone += struck.length
            assert.deepEqual(
              struck,
              struck.length === 0 ? [] : number === lane.number ? [sequence * positionsPerMessage] : ['none'],
            )
          }
          // One in five waits for its network.
          setTimeout(() => finished.add(sequence), sequence === 12 ? 60 : 2)
        },
        isFinished: sequence => finished.has(sequence),
        bury: sequence => assert.fail(`${sequence} was put aside`),
        stored: async () => {
          await delay(2)
          lane.stored = { ...structuredClone(record), low: low() }
        },
        isOpen: () => true,
        over: () => {
          record.trying = []
        },
        ended: () => {
          lane.isOrdinary = true
        },
      },
      room,
      { patienceMs: 20, suspectPatienceMs: 100, totalPatienceMs: 2_000, aftermathMs: 1 },
    )
    for (const sequence of [10, 11, 12, 13, 14, 15]) trial.offer(sequence)
  }
  await over.promise
  assert.equal(handed, 15)
  assert.ok(alone >= 6, `${alone} of ${handed} were tried alone`)
})
