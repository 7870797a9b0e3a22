// The resources that the edge under test serves: what an operator would apply, with scopes and a filter on.
// All virtual servers of one size group return the same number of tools, whatever the number of their servers.

export type Manifest = Readonly<Record<string, unknown>>

export const NAMESPACE = 'bench'
/** Scope that the policies ask for on every tool that is called. */
export const SCOPE = 'bench:call'
/** Group of the callers. */
export const GROUP = 'benchers'
/** Tools that each size of `sized` lists in all. */
export const SIZED_TOOLS = 2000

const GROUP_VERSION = 'toolhive.stacklok.dev/v1beta1'

function entry(name: string, group: string, remoteUrl: string): Manifest {
  return {
    apiVersion: GROUP_VERSION,
    kind: 'MCPServerEntry',
    metadata: { namespace: NAMESPACE, name },
    spec: { remoteUrl, transport: 'streamable-http', groupRef: { name: group }, allowPrivateEndpoint: true },
  }
}

/** A virtual server over servers that share its name: `count` of them, each with `tools` tools. */
function virtual(name: string, era: string, count: number, tools: number, backend: string): Manifest[] {
  const members = Array.from({ length: count }, (_, index) => {
    const server = count === 1 ? name : `${name}-${index}`
    return entry(server, name, `${backend}/${era}/${tools}/${server}`)
  })
  return [
    { apiVersion: GROUP_VERSION, kind: 'MCPGroup', metadata: { namespace: NAMESPACE, name }, spec: {} },
    ...members,
    {
      apiVersion: GROUP_VERSION,
      kind: 'VirtualMCPServer',
      metadata: { namespace: NAMESPACE, name },
      spec: { groupRef: { name } },
    },
  ]
}

function policy(name: string, rules: readonly object[]): Manifest {
  return {
    apiVersion: 'waggle.dev/v1alpha1',
    kind: 'ToolPolicy',
    metadata: { namespace: NAMESPACE, name },
    spec: { targetRef: { kind: 'VirtualMCPServer', name }, rules },
  }
}

/**
 * `modern` and `legacy`: one server each, with 30 tools; calling any needs a scope, seeing any a group. `asking-modern` and
 * `asking-legacy` are the same with `ask` in place of `echo`.
 * `thousand`: 10 servers with 110 tools each, of which a rule hides 10 from these callers.
 */
export function calls(backend: string): Manifest[] {
  const hidden = Array.from({ length: 10 }, (_, index) => `*_tool_${100 + index}`)
  const guarded = [{ tools: ['*'], groups: [GROUP], scopes: [SCOPE] }]
  return [
    ...virtual('modern', 'modern', 1, 30, backend),
    ...virtual('legacy', 'legacy', 1, 30, backend),
    ...virtual('asking-modern', 'modern', 1, 30, backend),
    ...virtual('asking-legacy', 'legacy', 1, 30, backend),
    ...virtual('thousand', 'modern', 10, 110, backend),
    policy('modern', guarded),
    policy('legacy', guarded),
    policy('asking-modern', guarded),
    policy('asking-legacy', guarded),
    policy('thousand', [...guarded, { tools: hidden, groups: ['others'] }]),
  ]
}

/** The virtual server `size-<servers>`: 2,000 tools spread evenly over its servers. */
export function sized(servers: number, backend: string): Manifest[] {
  return virtual(`size-${servers}`, 'modern', servers, SIZED_TOOLS / servers, backend)
}

/** Exposed name of the echo tool of `modern` and `legacy` (conflict resolution `prefix`, format `{workload}_`). */
export function echo(name: string): string {
  return `${name}_echo`
}

/** Exposed name of the tool of `asking-modern` and `asking-legacy` that asks its caller. */
export function ask(name: string): string {
  return `${name}_ask`
}

/** The virtual servers `http-<name>` and `link-<name>`: one proxy, which the edge calls itself, and as a server that a cluster publishes. */
export function linked(name: string, proxy: string): { published: Manifest; manifests: Manifest[] } {
  const aggregation = { conflictResolution: 'prefix', conflictResolutionConfig: { prefixFormat: '' } }
  const over = (virtual: string, backend: string): Manifest[] => [
    {
      apiVersion: GROUP_VERSION,
      kind: 'VirtualMCPServer',
      metadata: { namespace: NAMESPACE, name: virtual },
      spec: { backends: [{ name: backend }], config: { aggregation } },
    },
    policy(virtual, [{ tools: ['*'], groups: [GROUP], scopes: [SCOPE] }]),
  ]
  return {
    published: {
      apiVersion: GROUP_VERSION,
      kind: 'MCPServer',
      metadata: { namespace: NAMESPACE, name },
      spec: { image: 'example.com/bench:1', transport: 'streamable-http' },
    },
    manifests: [
      {
        apiVersion: GROUP_VERSION,
        kind: 'MCPServerEntry',
        metadata: { namespace: NAMESPACE, name: `entry-${name}` },
        spec: { remoteUrl: proxy, transport: 'streamable-http', allowPrivateEndpoint: true },
      },
      ...over(`http-${name}`, `entry-${name}`),
      ...over(`link-${name}`, name),
    ],
  }
}
