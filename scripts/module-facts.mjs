import { parseSync } from 'oxc-parser'

// What the import rules need to know of one TypeScript file, read from its syntax tree.

/**
 * @typedef {{ specifier: string, line: number, isType: boolean, names: string[] }} Import
 * @typedef {{ imports: Import[], uses: { what: string, line: number }[] }} ModuleFacts
 */

/**
 * @param {string} path
 * @param {string} text
 * @returns {ModuleFacts} what the file imports (`isType`: gone at run time), and which restricted things it does:
 *   `process.env`, `process.exit`, `export *`, `export default`
 */
export function moduleFacts(path, text) {
  const { program, errors } = parseSync(path, text)
  if (errors.length > 0) throw new Error(`${path} cannot be parsed: ${errors[0].message}`)
  const lineStarts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) lineStarts.push(at + 1)
  const lineOf = node => lineStarts.findLastIndex(start => start <= node.start) + 1

  const imports = []
  const uses = []
  const use = (what, node) => uses.push({ what, line: lineOf(node) })
  const importing = (source, node, isType, names = []) => {
    if (source?.type === 'Literal' && typeof source.value === 'string')
      imports.push({ specifier: source.value, line: lineOf(node), isType, names })
  }
  visit(program, node => {
    switch (node.type) {
      case 'ImportDeclaration': {
        const specifiers = node.specifiers ?? []
        const areTypes = specifiers.length > 0 && specifiers.every(each => each.importKind === 'type')
        const names = specifiers.map(each => each.imported?.name ?? each.imported?.value ?? '*')
        importing(node.source, node, node.importKind === 'type' || areTypes, names)
        if (/^(node:)?process$/.test(node.source.value))
          for (const name of names) if (name === 'env' || name === 'exit') use(`process.${name}`, node)
        break
      }
      case 'ExportAllDeclaration':
        use('export *', node)
        importing(node.source, node, node.exportKind === 'type', ['*'])
        break
      case 'ExportNamedDeclaration': {
        const areTypes = node.specifiers.length > 0 && node.specifiers.every(each => each.exportKind === 'type')
        if (node.source) importing(node.source, node, node.exportKind === 'type' || areTypes)
        break
      }
      case 'ExportDefaultDeclaration':
        use('export default', node)
        break
      case 'ImportExpression':
        importing(node.source, node, false, ['*'])
        break
      case 'TSImportType':
        importing(node.source ?? node.argument?.literal, node, true)
        break
      case 'MemberExpression': {
        const property = node.computed ? node.property.value : node.property.name
        if (node.object.type === 'Identifier' && node.object.name === 'process' && /^(env|exit)$/.test(property))
          use(`process.${property}`, node)
        break
      }
      default:
    }
  })
  return { imports, uses }
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
