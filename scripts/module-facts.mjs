import { parseSync } from 'oxc-parser'
import { globalUses, textOf } from './global-uses.mjs'

// What the import rules need to know of one file, read from its syntax tree.

/**
 * @typedef {{ specifier: string, line: number, isType: boolean, names: string[] }} Import
 * @typedef {{ imports: Import[], uses: { what: string, line: number }[] }} ModuleFacts
 */

/**
 * @param {string} path
 * @param {string} text
 * @returns {ModuleFacts} what the file imports (`isType`: gone at run time), and which restricted things it does: what
 *   {@link globalUses} finds, the same by `node:process`, `import(computed)`, `export *`, `export default`
 */
export function moduleFacts(path, text) {
  const { program, errors } = parseSync(path, text)
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0].message}`)
  const lineStarts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1)
  const lineOf = node => lineStarts.findLastIndex(start => start <= node.start) + 1

  const imports = []
  const uses = globalUses(program).map(({ what, node }) => ({ what, line: lineOf(node) }))
  const use = (what, node) => uses.push({ what, line: lineOf(node) })
  const importing = (specifier, node, isType, names) => {
    imports.push({ specifier, line: lineOf(node), isType, names })
    if (!isType && /^(node:)?process$/.test(specifier)) for (const name of names) use(`process.${name}`, node)
  }
  visit(program, node => {
    switch (node.type) {
      case 'ImportDeclaration': {
        const specifiers = node.specifiers ?? []
        const areTypes = specifiers.length > 0 && specifiers.every(each => each.importKind === 'type')
        importing(node.source.value, node, node.importKind === 'type' || areTypes, specifiers.map(namedBy('imported')))
        break
      }
      case 'ExportAllDeclaration':
        use('export *', node)
        importing(node.source.value, node, node.exportKind === 'type', ['*'])
        break
      case 'ExportNamedDeclaration': {
        const areTypes = node.specifiers.length > 0 && node.specifiers.every(each => each.exportKind === 'type')
        if (node.source)
          importing(
            node.source.value,
            node,
            node.exportKind === 'type' || areTypes,
            node.specifiers.map(namedBy('local')),
          )
        break
      }
      case 'ExportDefaultDeclaration':
        use('export default', node)
        break
      case 'ImportExpression': {
        const specifier = textOf(node.source)
        if (specifier === undefined) use('import(computed)', node)
        else importing(specifier, node, false, ['*'])
        break
      }
      case 'TSImportEqualsDeclaration': {
        const specifier = textOf(node.moduleReference.expression)
        if (specifier !== undefined) importing(specifier, node, node.importKind === 'type', ['*'])
        break
      }
      case 'TSImportType': {
        const specifier = textOf(node.source ?? node.argument?.literal)
        if (specifier !== undefined) importing(specifier, node, true, [])
        break
      }
      default:
    }
  })
  return { imports, uses }
}

/** What a specifier names on the other side; the default export and whole modules count as everything. */
const namedBy = key => specifier => {
  const name = specifier[key]?.name ?? specifier[key]?.value ?? '*'
  return name === 'default' ? '*' : name
}

function visit(node, see) {
  if (Array.isArray(node)) {
    for (const each of node) visit(each, see)
    return
  }
  if (node === null || typeof node !== 'object' || typeof node.type !== 'string') return
  see(node)
  for (const value of Object.values(node)) if (value !== null && typeof value === 'object') visit(value, see)
}
