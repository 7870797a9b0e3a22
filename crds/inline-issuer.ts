// The issuer that older servers have right in their spec becomes an MCPOIDCConfig of its own, which only exists while the resource is
// read, and a reference to it. Where that can not be done faithfully its author has to; at an edge always.
import { read } from './manifest.ts'
import { MCPOIDCConfig } from './mcp-oidc-config.ts'
import { isTree, type Json, plain, type Tree } from './plain.ts'
import { formatPath, type Problem } from './problem.ts'

interface Lifted {
  readonly input: unknown
  readonly derived: readonly MCPOIDCConfig[]
  readonly warnings: readonly Problem[]
  readonly problems: readonly Problem[]
}

/** Most resources have none, and should not be copied to find that out. */
function hasInline(raw: unknown): boolean {
  if (!isTree(raw) || !isTree(raw['spec'])) return false
  const { oidcConfig, incomingAuth } = raw['spec']
  return oidcConfig !== undefined || (isTree(incomingAuth) && incomingAuth['oidcConfig'] !== undefined)
}

/** Makes a config of its own of an old inline issuer; `input` is the resource with a reference to it. */
export function liftIssuer(raw: unknown): Lifted {
  const none: Lifted = { input: raw, derived: [], warnings: [], problems: [] }
  if (!hasInline(raw)) return none
  const copied = plain(raw)
  if (!copied.ok || !isTree(copied.value)) return none
  const { kind, metadata, spec } = copied.value
  if (!isTree(metadata) || !isTree(spec)) return none
  const isVirtual = kind === 'VirtualMCPServer'
  const path = isVirtual ? ['spec', 'incomingAuth'] : ['spec']
  const holder = isVirtual ? spec['incomingAuth'] : spec
  const { name, namespace } = metadata
  if (!isTree(holder) || typeof kind !== 'string' || typeof name !== 'string') return none
  const owner = { kind, name, namespace: typeof namespace === 'string' ? namespace : 'default' }
  if (!isVirtual && kind !== 'MCPServer' && kind !== 'MCPRemoteProxy') return none
  const made = convertOIDC(holder, owner, path)
  if (made === undefined) return none
  const input = copied.value
  if ('problem' in made) return { ...none, input, problems: [made.problem] }
  const config = read<MCPOIDCConfig>(made.config, { MCPOIDCConfig }, 'cluster')
  const at = formatPath([...path, 'oidcConfig'])
  if (!config.ok) {
    const inPlace = (problem: Problem): Problem => ({
      ...problem,
      path: problem.path.replace(/^spec/, at).replace('.kubernetesServiceAccount', '.kubernetes'),
    })
    return { ...none, input, problems: config.problems.map(inPlace) }
  }
  const message = 'is an old form; write an MCPOIDCConfig and name it in oidcConfigRef'
  return { input, derived: [config.resource], warnings: [{ path: at, message }], problems: [] }
}

/** A manifest of the MCPOIDCConfig, or why there is none. */
type Converted = { readonly config: Tree } | { readonly problem: Problem }

interface Owner {
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

/**
 * Turns `holder.oidcConfig` into `holder.oidcConfigRef` and returns the MCPOIDCConfig that it names, or a problem. Undefined when there
 * is nothing to convert. `path` leads to the holder.
 */
function convertOIDC(holder: Tree, owner: Owner, path: readonly string[]): Converted | undefined {
  const given = holder['oidcConfig']
  if (given === undefined) return undefined
  const at = formatPath([...path, 'oidcConfig'])
  delete holder['oidcConfig']
  if (!isTree(given)) return { problem: { path: at, message: 'must be an object' } }
  if (holder['oidcConfigRef'] !== undefined)
    return { problem: { path: at, message: 'contradicts oidcConfigRef; remove oidcConfig' } }
  const type = given['type']
  if (type !== 'inline' && type !== 'kubernetes') {
    return {
      problem: { path: at, message: 'can not be converted; write an MCPOIDCConfig and name it in oidcConfigRef' },
    }
  }
  const part: Json = given[type] ?? {}
  if (!isTree(part)) return { problem: { path: `${at}.${type}`, message: 'must be an object' } }
  const { audience, scopes, ...issuer } = part
  const name = `inline.${owner.kind}.${owner.name}`.toLowerCase()
  holder['oidcConfigRef'] = pruned({
    name,
    audience: audience ?? (type === 'kubernetes' ? 'toolhive' : undefined),
    scopes,
    resourceUrl: given['resourceUrl'],
  })
  const spec =
    type === 'inline'
      ? { type, inline: issuer }
      : { type: 'kubernetesServiceAccount', kubernetesServiceAccount: issuer }
  return {
    config: {
      apiVersion: 'toolhive.stacklok.dev/v1beta1',
      kind: 'MCPOIDCConfig',
      metadata: { name, namespace: owner.namespace },
      spec,
    },
  }
}

function pruned(fields: Readonly<Record<string, Json | undefined>>): Tree {
  const tree: Tree = {}
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) tree[name] = value
  return tree
}
