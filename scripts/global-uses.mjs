// Which globals a file uses, by scope and not by text: a local variable called `process` is none, and `globalThis['process'].env`,
// `const { env } = process` and `process?.env` are all process.env.

const watched = new Set([
  'process',
  'globalThis',
  'global',
  'fetch',
  'WebSocket',
  'EventSource',
  'require',
  'eval',
  'Function',
])
const globalObjects = new Set(['globalThis', 'global'])

/** Children that hold types alone; they are gone at run time. */
const typeKeys = new Set([
  'typeAnnotation',
  'typeArguments',
  'typeParameters',
  'returnType',
  'superTypeArguments',
  'implements',
])
const typeNodes = new Set(['TSTypeAliasDeclaration', 'TSInterfaceDeclaration', 'TSDeclareFunction', 'TSTypeQuery'])

/** What stands around an expression without changing what it is. */
const wrappers = new Set([
  'ChainExpression',
  'ParenthesizedExpression',
  'TSAsExpression',
  'TSSatisfiesExpression',
  'TSNonNullExpression',
  'TSTypeAssertion',
  'AwaitExpression',
])
const functions = new Set(['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'])
const scopes = new Set([
  ...functions,
  'Program',
  'BlockStatement',
  'StaticBlock',
  'ForStatement',
  'ForInStatement',
  'ForOfStatement',
  'SwitchStatement',
  'CatchClause',
  'ClassDeclaration',
  'ClassExpression',
])

/**
 * @param {object} program a syntax tree as oxc-parser makes it
 * @returns {{ what: string, node: object }[]} the uses: `fetch`, `process.env`; `process.*` and `globalThis.*` where the object itself
 *   is handed on or its member is computed
 */
export function globalUses(program) {
  const uses = []
  const walk = (node, parents, names) => {
    if (node.type === 'Identifier') {
      if (watched.has(node.name) && isReference(node, parents) && !names.some(each => each.has(node.name)))
        for (const path of pathsFrom(node, parents)) {
          const what = nameOf(path)
          if (what !== undefined) uses.push({ what, node })
        }
      return
    }
    if (typeNodes.has(node.type)) return
    const inner = scopes.has(node.type) ? [...names, declaredIn(node)] : names
    for (const [key, value] of Object.entries(node))
      if (!typeKeys.has(key)) for (const child of nodesIn(value)) walk(child, [...parents, node], inner)
  }
  walk(program, [], [])
  return uses
}

/** `['globalThis', 'process', 'env']` is `process.env`; undefined for a global that nobody watches. */
function nameOf([first, ...rest]) {
  if (globalObjects.has(first)) return rest.length === 0 || rest[0] === '*' ? 'globalThis.*' : nameOf(rest)
  if (!watched.has(first)) return undefined
  return first === 'process' ? `process.${rest[0] ?? '*'}` : first
}

/** The members that are taken of a global, each with the way to it. */
function* pathsFrom(identifier, parents) {
  let node = identifier
  const path = [identifier.name]
  for (const parent of parents.toReversed()) {
    if (parent.type === 'MemberExpression' && parent.object === node) path.push(keyOf(parent.property, parent.computed))
    else if (!wrappers.has(parent.type)) {
      const [value, pattern] =
        parent.type === 'VariableDeclarator' ? [parent.init, parent.id] : [parent.right, parent.left]
      if (value === node && pattern?.type === 'ObjectPattern') yield* pathsInto(pattern, path)
      else yield path
      return
    }
    node = parent
  }
}

/** The same for what a pattern takes out of a global: `const { env } = process`. */
function* pathsInto(pattern, path) {
  for (const property of pattern.properties) {
    if (property.type === 'RestElement') yield [...path, '*']
    else {
      const target = property.value.type === 'AssignmentPattern' ? property.value.left : property.value
      const inner = [...path, keyOf(property.key, property.computed)]
      if (target.type === 'ObjectPattern') yield* pathsInto(target, inner)
      else yield inner
    }
  }
}

function keyOf(key, isComputed) {
  if (!isComputed) return key.name ?? String(key.value)
  return textOf(key) ?? '*'
}

/** The text of a string literal, in quotes or backticks; undefined for what is computed. */
export function textOf(node) {
  if (node?.type === 'Literal' && typeof node.value === 'string') return node.value
  if (node?.type === 'TemplateLiteral' && node.expressions.length === 0) return node.quasis[0].value.cooked
  return undefined
}

/** False for names of members and specifiers. */
function isReference(node, parents) {
  const parent = parents.at(-1)
  switch (parent.type) {
    case 'MemberExpression':
      return parent.object === node || parent.computed
    case 'Property':
    case 'MethodDefinition':
    case 'PropertyDefinition':
    case 'AccessorProperty':
      return parent.key !== node || parent.computed
    case 'ExportSpecifier':
      return parent.local === node && parents.at(-2).source === null
    case 'ImportSpecifier':
    case 'MetaProperty':
    case 'LabeledStatement':
    case 'BreakStatement':
    case 'ContinueStatement':
      return false
    default:
      return true
  }
}

/** Names that a scope declares, `var` and parameters included. */
function declaredIn(scope) {
  const names = new Set()
  const bind = pattern => {
    if (pattern == null) return
    if (pattern.type === 'Identifier') names.add(pattern.name)
    else if (pattern.type === 'ObjectPattern') for (const each of pattern.properties) bind(each.value ?? each.argument)
    else if (pattern.type === 'ArrayPattern') pattern.elements.forEach(bind)
    else bind(pattern.left ?? pattern.argument ?? pattern.parameter)
  }
  if (functions.has(scope.type)) scope.params.forEach(bind)
  if (scope.type === 'CatchClause') bind(scope.param)
  if (scope.id) bind(scope.id)
  const collect = (node, isDirect) => {
    if (node.type === 'VariableDeclaration') {
      if (!node.declare && (isDirect || node.kind === 'var')) for (const { id } of node.declarations) bind(id)
    } else if (node.type === 'ImportDeclaration') {
      if (node.importKind !== 'type')
        for (const each of node.specifiers ?? []) if (each.importKind !== 'type') bind(each.local)
    } else if (node.type === 'FunctionDeclaration' || node.type === 'ClassDeclaration') {
      if (isDirect) bind(node.id)
      return
    }
    if (functions.has(node.type) || node.type.startsWith('Class')) return
    const isTransparent = /^Export|^SwitchCase$/.test(node.type)
    for (const value of Object.values(node))
      for (const child of nodesIn(value)) collect(child, isDirect && isTransparent)
  }
  for (const [key, value] of Object.entries(scope))
    if (key !== 'params' && !typeKeys.has(key)) for (const child of nodesIn(value)) collect(child, true)
  return names
}

/** The syntax nodes that a property holds. */
function nodesIn(value) {
  const isNode = each => each !== null && typeof each === 'object' && typeof each.type === 'string'
  return Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : []
}
