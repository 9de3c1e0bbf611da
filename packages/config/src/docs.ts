import { knownLater } from './known-later.ts'
import type { NetworkSchema } from './load.ts'
import { instanceSchema } from './schema.ts'
import { type Setting, settings, settingsOfSection } from './setting.ts'

/** The reference page of all options in Markdown: what is acted on, by section, then what is known and not acted on. */
export function configurationDocs(networks: readonly NetworkSchema[] = []): string {
  const sections = Map.groupBy(settings(instanceSchema), ({ path }) => path[0])
  const ofNetworks = networks.flatMap(({ id, config }) => {
    const known = settingsOfSection(id, config)
    // Spectrum 2 has some of a network's options in a section that is everybody's.
    const bySection = Map.groupBy(known, ({ option }) => option.split('.', 1)[0] ?? id)
    return [...bySection].map(([section, ones]) => ({ heading: `## [${section}] of the network ${id}`, ones }))
  })
  const claimed = new Set(ofNetworks.flatMap(({ ones }) => ones.map(({ option }) => option)))
  return [
    '# Configuration',
    'Later wins: the default, the `.cfg` file, the environment variable, the flag (`--service.jid=…`). A list is one line for each item in the `.cfg`, and separated by commas in the variable. A secret may also stand in the file that the variable with `_FILE` behind its name points to.',
    ...[...sections].flatMap(([section, known]) => [`## [${section}]`, sectionTable(known)]),
    ...ofNetworks.flatMap(({ heading, ones }) => [heading, sectionTable(ones)]),
    '## Known and not acted on',
    'These options of Spectrum 2 are understood. One that asks for something gives a warning, or stops the start where going on would change the mode, the database or the security.',
    table(
      ['Option', 'Then', 'Why'],
      knownLater
        .filter(({ option }) => !claimed.has(option))
        .map(({ option, then, sentence }) => [`\`${option}\``, then === 'warn' ? 'warning' : 'stop', sentence]),
    ),
  ]
    .join('\n\n')
    .concat('\n')
}

function sectionTable(known: readonly Setting[]): string {
  const rows = known.map(setting => [
    `\`${setting.option}\``,
    `\`${setting.env}\``,
    kindOf(setting),
    defaultOf(setting),
    setting.description,
  ])
  return table(['Option', 'Variable', 'Type', 'Default', 'What it does'], rows)
}

function kindOf({ kind, choices, isList, isSecret }: Setting): string {
  const one = choices.length > 0 ? choices.map(choice => `\`${choice}\``).join(', ') : kind
  return `${isSecret ? 'secret ' : ''}${isList ? 'list of ' : ''}${one}`
}

function defaultOf(setting: Setting): string {
  if (setting.isRequired) return 'required'
  const value = setting.default
  if (value === undefined || value === '' || (Array.isArray(value) && value.length === 0)) return ''
  if (typeof value === 'boolean') return value ? '`1`' : '`0`'
  return `\`${Array.isArray(value) ? value.join(', ') : String(value)}\``
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
