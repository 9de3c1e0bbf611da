// A reporter for node:test that writes one line of JSON per finished test. Suites are not counted, their tests are.

/** @param {AsyncIterable<{ type: string, data: any }>} source */
export default async function* testResults(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite' && type === 'test:pass') continue
    // The failure of a part has been counted already.
    if (data.details?.error?.failureType === 'subtestsFailed') continue
    const isSkipped = data.skip !== undefined || data.todo !== undefined
    yield `${JSON.stringify({ name: data.name, outcome: isSkipped ? 'skipped' : type.slice('test:'.length) })}\n`
  }
}
