// Spellings that users and older releases write, turned into today's fields before the strict parse. Each leaves a warning that says
// what to write instead. Old fields that restricted access are refused, never dropped.
import type { Kind } from './kinds.ts'
import { normaliseWorkflow } from './old-workflow.ts'
import { isTree, type Json, type Tree } from './plain.ts'
import { formatPath, type Problem } from './problem.ts'

export interface Notes {
  readonly warnings: Problem[]
  readonly problems: Problem[]
}

/** Rewrites `spec` in place. Values of unexpected types are left for the parse to complain about. */
export function normalise(kind: Kind, spec: Tree, notes: Notes): void {
  switch (kind) {
    case 'MCPServer':
      rename(spec, ['port'], ['proxyPort'], notes)
      rename(spec, ['targetPort'], ['mcpPort'], notes)
      wrap(spec, 'groupRef', notes)
      refuse(spec, ['tools'], 'write an MCPToolConfig with toolsFilter and name it in toolConfigRef', notes)
      refuse(spec, ['oidcConfig'], 'write an MCPOIDCConfig and name it in oidcConfigRef', notes)
      drop(spec, 'telemetry', 'is not used; write an MCPTelemetryConfig and name it in telemetryConfigRef', notes)
      keyPrefix(spec, notes)
      return
    case 'MCPRemoteProxy':
      remote(spec, notes)
      rename(spec, ['port'], ['proxyPort'], notes)
      drop(spec, 'targetPort', 'has no meaning any more; remove it', notes)
      refuse(spec, ['tools'], 'write an MCPToolConfig with toolsFilter and name it in toolConfigRef', notes)
      refuse(spec, ['oidcConfig'], 'write an MCPOIDCConfig and name it in oidcConfigRef', notes)
      keyPrefix(spec, notes)
      return
    case 'MCPServerEntry':
      remote(spec, notes)
      return
    case 'VirtualMCPServer':
      virtual(spec, notes)
      return
    case 'MCPExternalAuthConfig':
      external(spec, notes)
      return
    case 'ToolPolicy':
      claims(spec)
      return
    case 'VirtualMCPCompositeToolDefinition':
      normaliseWorkflow(spec, ['spec'], notes)
      return
    case 'MCPRegistry':
      for (const field of ['registries', 'databaseConfig', 'authConfig', 'enforceServers']) {
        refuse(spec, [field], 'write configYAML', notes)
      }
      return
    case 'MCPGroup':
    case 'MCPOIDCConfig':
    case 'MCPToolConfig':
    case 'MCPAuthzConfig':
    case 'MCPTelemetryConfig':
    case 'MCPWebhookConfig':
    case 'EmbeddingServer':
      return
  }
}

function remote(spec: Tree, notes: Notes): void {
  rename(spec, ['remoteURL'], ['remoteUrl'], notes)
  rename(spec, ['url'], ['remoteUrl'], notes)
  wrap(spec, 'groupRef', notes)
}

function virtual(spec: Tree, notes: Notes): void {
  wrap(spec, 'groupRef', notes)
  const group = isTree(spec['config']) ? spec['config']['groupRef'] : undefined
  if (typeof group === 'string' && isTree(spec['config'])) spec['config']['groupRef'] = { name: group }
  rename(spec, ['config', 'groupRef'], ['groupRef'], notes)
  for (const field of ['aggregation', 'compositeTools', 'compositeToolRefs', 'operational']) {
    rename(spec, [field], ['config', field], notes)
  }
  const tools = isTree(spec['config']) ? spec['config']['compositeTools'] : undefined
  if (Array.isArray(tools)) {
    for (const [index, tool] of tools.entries()) {
      normaliseWorkflow(tool, ['spec', 'config', 'compositeTools', index], notes)
    }
  }
  refuse(
    spec,
    ['incomingAuth', 'oidcConfig'],
    'write an MCPOIDCConfig and name it in incomingAuth.oidcConfigRef',
    notes,
  )
  const outgoing = spec['outgoingAuth']
  if (isTree(outgoing)) {
    respell(outgoing['default'], ['spec', 'outgoingAuth', 'default', 'type'], notes)
    if (isTree(outgoing['backends'])) {
      for (const [name, auth] of Object.entries(outgoing['backends'])) {
        respell(auth, ['spec', 'outgoingAuth', 'backends', name, 'type'], notes)
      }
    }
  }
  if (Array.isArray(spec['backends'])) {
    spec['backends'] = spec['backends'].map((item, index) => {
      if (typeof item !== 'string') return item
      warn(notes, ['spec', 'backends', index], `write {name: …} instead of a bare name`)
      return { name: item }
    })
  }
  keyPrefix(spec, notes)
}

function external(spec: Tree, notes: Notes): void {
  respell(spec, ['spec', 'type'], notes)
  for (const part of ['token_exchange', 'header_injection', 'bearer_token']) rename(spec, [part], [camel(part)], notes)
  for (const part of ['tokenExchange', 'headerInjection', 'bearerToken']) {
    const tree = spec[part]
    if (!isTree(tree)) continue
    for (const field of Object.keys(tree)) {
      if (field.includes('_')) rename(spec, [part, field], [part, camel(field)], notes)
    }
  }
  rename(spec, ['tokenExchange', 'scope'], ['tokenExchange', 'scopes'], notes)
  const exchange = spec['tokenExchange']
  if (isTree(exchange) && typeof exchange['scopes'] === 'string') {
    exchange['scopes'] = exchange['scopes'].split(' ').filter((scope) => scope !== '')
  }
}

/** One allowed value of a claim is as good as a list of one; numbers and booleans are written as text. No warning: both are documented. */
function claims(spec: Tree): void {
  if (!Array.isArray(spec['rules'])) return
  for (const item of spec['rules']) {
    if (!isTree(item) || !isTree(item['claims'])) continue
    for (const [claim, value] of Object.entries(item['claims'])) {
      const values = Array.isArray(value) ? value : [value]
      item['claims'][claim] = values.map((each) =>
        typeof each === 'number' || typeof each === 'boolean' ? String(each) : each,
      )
    }
  }
}

/** ToolHive's proxies require a prefix that ends with a colon. */
function keyPrefix(spec: Tree, notes: Notes): void {
  const storage = spec['sessionStorage']
  if (!isTree(storage)) return
  const prefix = storage['keyPrefix']
  if (typeof prefix !== 'string' || prefix === '' || prefix.endsWith(':')) return
  storage['keyPrefix'] = `${prefix}:`
  warn(notes, ['spec', 'sessionStorage', 'keyPrefix'], 'must end with ":"; it was added')
}

/** Moves a field to its present place. Both given and different: a problem, since nobody can tell which is meant. */
function rename(spec: Tree, from: readonly string[], to: readonly string[], notes: Notes): void {
  const source = parentOf(spec, from, false)
  const [oldField, newField] = [from.at(-1) ?? '', to.at(-1) ?? '']
  if (source === undefined || !Object.hasOwn(source, oldField)) return
  const target = parentOf(spec, to, true)
  const value = source[oldField]
  if (target === undefined || value === undefined) return
  const [oldPath, newPath] = [formatPath(['spec', ...from]), formatPath(['spec', ...to])]
  delete source[oldField]
  if (Object.hasOwn(target, newField)) {
    if (JSON.stringify(target[newField]) !== JSON.stringify(value)) {
      notes.problems.push({ path: oldPath, message: `contradicts ${newPath}; remove ${oldPath}`, suggestion: newPath })
      return
    }
  } else {
    target[newField] = value
  }
  notes.warnings.push({ path: oldPath, message: `is an old spelling; write ${newPath}`, suggestion: newPath })
}

function parentOf(spec: Tree, path: readonly string[], create: boolean): Tree | undefined {
  let tree: Tree = spec
  for (const field of path.slice(0, -1)) {
    if (create && !Object.hasOwn(tree, field)) tree[field] = {}
    const next: Json | undefined = tree[field]
    if (!isTree(next)) return undefined
    tree = next
  }
  return tree
}

/** A bare name where a reference `{name}` belongs. */
function wrap(spec: Tree, field: string, notes: Notes): void {
  const value = spec[field]
  if (typeof value !== 'string') return
  spec[field] = { name: value }
  warn(notes, ['spec', field], `is an old form; write ${field}: {name: …}`)
}

/** `external_auth_config_ref` → `externalAuthConfigRef` as the value of `type`. */
function respell(holder: Json | undefined, path: readonly PropertyKey[], notes: Notes): void {
  if (!isTree(holder)) return
  const type = holder['type']
  if (typeof type !== 'string' || !/^[a-z]+(_[a-z]+)+$/.test(type) || type.length > 64) return
  holder['type'] = camel(type)
  notes.warnings.push({
    path: formatPath(path),
    message: `is an old spelling; write ${camel(type)}`,
    suggestion: camel(type),
  })
}

function camel(snake: string): string {
  return snake.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

function drop(spec: Tree, field: string, why: string, notes: Notes): void {
  if (!Object.hasOwn(spec, field)) return
  delete spec[field]
  warn(notes, ['spec', field], why)
}

/** A field whose loss would widen access: its author has to move it. */
function refuse(spec: Tree, path: readonly string[], instead: string, notes: Notes): void {
  const holder = parentOf(spec, path, false)
  const field = path.at(-1) ?? ''
  if (holder === undefined || !Object.hasOwn(holder, field)) return
  delete holder[field]
  notes.problems.push({ path: formatPath(['spec', ...path]), message: `no longer exists; ${instead}` })
}

function warn(notes: Notes, path: readonly PropertyKey[], message: string): void {
  notes.warnings.push({ path: formatPath(path), message })
}
