import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '../../network/src')

/** The whole interface as text without comments: what the tests of this package walk. */
export const interfaceSource = readdirSync(folder)
  .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))
  .map(name => readFileSync(join(folder, name), 'utf8'))
  .join('\n')
  .replace(/\/\*\*[\s\S]*?\*\/|\/\/.*$/gm, '')

/** Members of an interface, each with its text: nested members are looked for in there. */
export function membersOf(name: string): Map<string, string> {
  const start = new RegExp(`interface ${name}\\b[^{]*\\{`).exec(interfaceSource)
  assert.ok(start, `no interface ${name}`)
  return membersIn(interfaceSource.slice(start.index + start[0].length))
}

function membersIn(text: string): Map<string, string> {
  const members = new Map<string, string>()
  let current = ''
  let depth = 0
  for (const line of text.split('\n')) {
    const member = depth === 0 ? /^\s*(?:readonly )?([A-Za-z]+)\??[:(<]/.exec(line) : null
    if (member?.[1] !== undefined) current = member[1]
    if (current !== '') members.set(current, `${members.get(current) ?? ''}${line}\n`)
    depth += (line.match(/[{(]/g)?.length ?? 0) - (line.match(/[})]/g)?.length ?? 0)
    if (depth < 0) break
  }
  return members
}

/**
 * Every capability that an interface can declare: a member, or for one with methods each of these (`contacts.add`).
 */
export function capabilitiesOf(name: string): string[] {
  return [...membersOf(name)].flatMap(([member, text]) => {
    const body = /^\s*(?:readonly )?[A-Za-z]+\??: \{([\s\S]*)/.exec(text)?.[1]
    const methods = body === undefined ? [] : [...body.matchAll(/(?:^|[{;\n])\s*([a-z][A-Za-z]*)\(/g)]
    return methods.length === 0
      ? [`${name}.${member}`]
      : methods.map(([, method = '']) => `${name}.${member}.${method}`)
  })
}
