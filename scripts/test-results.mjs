import { inspect } from 'node:util'

// A reporter for node:test that writes one line of JSON per finished test. Suites are not counted, their tests are.

/** @param {AsyncIterable<{ type: string, data: any }>} source */
export default async function* testResults(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite' && type === 'test:pass') continue
    // The failure of a part has been counted already.
    if (data.details?.error?.failureType === 'subtestsFailed') continue
    const isSkipped = data.skip !== undefined || data.todo !== undefined
    const outcome = isSkipped ? 'skipped' : type.slice('test:'.length)
    // The other reporter tells why only at the end, which a file that hangs never reaches.
    const failure = data.details?.error
    const why = outcome === 'fail' && failure ? { error: inspect(failure.cause ?? failure) } : {}
    yield `${JSON.stringify({ name: data.name, outcome, ...why })}\n`
  }
}
