import type { NetworkSchema } from './load.ts'
import { type Config, instanceSchema } from './schema.ts'
import { type Setting, settings, settingsOfSection } from './setting.ts'

/**
 * The whole configuration as a `.cfg`, with `(set)` in place of every secret. Options of the network appear when its
 * schema is given; nothing else would know which of them are secret.
 */
export function printConfig(config: Config, network?: NetworkSchema): string {
  const lines: string[] = []
  let section = ''
  const write = (setting: Setting, value: unknown) => {
    if (value === undefined) return
    const [prefix = '', ...key] = setting.option.split('.')
    if (prefix !== section) lines.push(...(section === '' ? [] : ['']), `[${prefix}]`)
    section = prefix
    for (const item of Array.isArray(value) ? value : [value]) lines.push(`${key.join('.')} = ${shown(setting, item)}`)
  }
  const { network: choice, ...instance } = config
  const sections: Readonly<Record<string, Readonly<Record<string, unknown>>>> = instance
  for (const setting of settings(instanceSchema)) write(setting, sections[setting.path[0]]?.[setting.path[1]])
  if (network) {
    for (const setting of settingsOfSection(network.id, network.config)) {
      write(setting, choice.options[setting.path[1]])
    }
  }
  return `${lines.join('\n')}\n`
}

function shown(setting: Setting, value: unknown): string {
  if (value === '') return ''
  if (setting.isSecret) return '(set)'
  return typeof value === 'boolean' ? String(Number(value)) : String(value)
}
