import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { node, root } from './prepare.mjs'

/** A file that has failed and says nothing more for so long is cut: what hangs then tells nothing new. */
const silenceSeconds = 60
/** How long the test runner may take to say what it has, once it was told to end. */
const lastWordsMs = 5000

/**
 * Runs one test file.
 *
 * @param {{ file: string, results: string, timeoutSeconds: number, silentSeconds?: number, env: Record<string, string>,
 *   running: Set<import('node:child_process').ChildProcess> }} options `results` is a file to write; `running` holds the process
 *   while it runs
 * @returns {Promise<{ exit: number | string, output: string, outcomes: { name: string, outcome: string, error?: string }[] }>}
 *   `exit` is 0, a code, or why it was ended. The output of a file that was cut has the errors of its failed tests below it.
 */
export function runTestFile({ file, results, timeoutSeconds, silentSeconds = silenceSeconds, env, running }) {
  const reporters = ['spec', './scripts/test-results.mjs'].map(name => `--test-reporter=${name}`)
  const destinations = ['stdout', results].map(name => `--test-reporter-destination=${name}`)
  return new Promise(done => {
    const child = spawn(node, [...reporters, ...destinations, file], {
      cwd: root,
      // Set by a test runner above us, to whom the file would report instead.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    let output = ''
    let heardAt = performance.now()
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', chunk => {
        output = (output + chunk).slice(-200_000)
        heardAt = performance.now()
      })
    let reason
    let kill
    const cut = why => {
      if (reason !== undefined) return
      reason = why
      child.kill('SIGTERM')
      kill = setTimeout(() => child.kill('SIGKILL'), lastWordsMs)
    }
    const timer = setTimeout(() => cut(`a timeout of ${timeoutSeconds} s`), timeoutSeconds * 1000)
    const watch = setInterval(() => {
      if (performance.now() - heardAt < silentSeconds * 1000) return
      if (outcomesIn(results).some(({ outcome }) => outcome === 'fail'))
        cut(`${silentSeconds} s of silence after a failure`)
    }, 1000)
    child.once('error', error => {
      reason = error.message
    })
    child.once('close', (code, signal) => {
      for (const pending of [timer, watch, kill]) clearTimeout(pending)
      running.delete(child)
      const outcomes = outcomesIn(results)
      const isTold = output.includes('failing tests:')
      const failures = outcomes.filter(({ outcome }) => outcome === 'fail')
      const errors = isTold ? [] : failures.map(({ name, error }) => `\n✖ ${name}\n${error ?? ''}`)
      done({ exit: reason ?? code ?? signal, output: output + errors.join('\n'), outcomes })
    })
  })
}

function outcomesIn(results) {
  if (!existsSync(results)) return []
  // The last line may still be on its way.
  const lines = readFileSync(results, 'utf8').split('\n').slice(0, -1)
  return lines.filter(Boolean).map(line => JSON.parse(line))
}
