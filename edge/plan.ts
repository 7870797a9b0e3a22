// Resources → what the edge must do: endpoints with their guards, members and rules, and servers with their addresses.
// Pure and fail-closed: a reference that leads nowhere takes away, it never gives.

import { algorithms, commaList } from '../crds/annotation.ts'
import { milliseconds } from '../crds/duration.ts'
import type { MCPOIDCConfig } from '../crds/mcp-oidc-config.ts'
import type { MCPExternalAuthConfig } from '../crds/mcp-external-auth-config.ts'
import { DEFAULT_ALGORITHMS } from '../gateway/auth/issuer.ts'
import type { BreakerSettings } from '../gateway/backend/breaker.ts'
import type { Override } from '../gateway/catalog/catalog.ts'
import { fingerprint } from '../gateway/catalog/hash.ts'
import { DEFAULT_AGGREGATION, type Aggregation } from '../gateway/catalog/merge.ts'
import type { Rule } from '../gateway/policy.ts'
import { members, serverKey, type ServerResource, type VirtualResource } from './documents/members.ts'
import { resourceKey, type Resources, type StoredResource } from './documents/resources.ts'

export interface SecretRef {
  readonly namespace: string
  readonly name: string
  readonly key: string
}

export interface IssuerPlan {
  readonly issuer: string
  readonly jwksUrl: string | undefined
  readonly introspectionUrl: string | undefined
  readonly clientId: string | undefined
  readonly clientSecret: SecretRef | undefined
  readonly algorithms: readonly string[]
  readonly clockSkewSeconds: number
  readonly groupsClaim: string
  readonly allowHttp: boolean
  readonly allowPrivate: boolean
}

export interface GuardPlan {
  /** Undefined: anonymous callers may enter. Empty: nobody may. */
  readonly issuers: readonly IssuerPlan[] | undefined
  /** Undefined: the endpoint's URL. */
  readonly audience: string | undefined
  readonly resource: string | undefined
  readonly scopes: readonly string[]
}

/** How a server is authenticated to; `refused` says why it cannot be. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'header'; readonly header: string; readonly prefix: string; readonly secret: SecretRef }
  | { readonly kind: 'refused'; readonly message: string }

export interface ServerPlan {
  readonly key: string
  /** Tells whether a stored catalog was fetched from where the server is now, as whom it is asked now. */
  readonly source: string
  readonly url: string
  readonly transport: 'streamable-http' | 'sse'
  readonly allowPrivate: boolean
  readonly credential: Credential
  readonly headers: Readonly<Record<string, string>>
  readonly secretHeaders: readonly { readonly header: string; readonly secret: SecretRef }[]
}

export interface MemberPlan {
  readonly server: string
  readonly workload: string
  readonly credential: Credential
  readonly excludeAll: boolean
  readonly filter: readonly string[] | undefined
  readonly overrides: Readonly<Record<string, Override>>
  readonly rules: readonly Rule[]
  readonly timeoutMs: number
  readonly breaker: BreakerSettings
}

export interface EndpointPlan {
  /** `<namespace>/<name>` */
  readonly key: string
  readonly guard: GuardPlan
  readonly members: readonly MemberPlan[]
  readonly aggregation: Aggregation
  readonly rules: readonly Rule[]
}

export interface Plan {
  readonly endpoints: ReadonlyMap<string, EndpointPlan>
  readonly servers: ReadonlyMap<string, ServerPlan>
}

const CALL_TIMEOUT_MS = 60_000
const BREAKER: BreakerSettings = { threshold: 5, openMs: 15_000 }
const NOBODY: GuardPlan = { issuers: [], audience: undefined, resource: undefined, scopes: [] }

export function plan(resources: Resources, defaultIssuer: IssuerPlan | undefined): Plan {
  const endpoints = new Map<string, EndpointPlan>()
  const servers = new Map<string, Omit<ServerPlan, 'source'>>()
  for (const resource of resources.values()) {
    if (resource.kind !== 'MCPRemoteProxy' && resource.kind !== 'MCPServerEntry') continue
    servers.set(serverKey(resource), planServer(resource, resources))
    if (resource.kind === 'MCPRemoteProxy')
      endpoints.set(serverKey(resource), planProxy(resource, resources, defaultIssuer))
  }
  for (const resource of resources.values()) {
    if (resource.kind === 'VirtualMCPServer')
      endpoints.set(serverKey(resource), planVirtual(resource, resources, defaultIssuer))
  }
  lendCredentials(endpoints, servers)
  return {
    endpoints,
    servers: new Map([...servers].map(([key, server]) => [key, { ...server, source: sourceOf(server) }])),
  }
}

function sourceOf({ url, transport, credential, headers, secretHeaders }: Omit<ServerPlan, 'source'>): string {
  return fingerprint(JSON.stringify([url, transport, credential, headers, secretHeaders]))
}

/**
 * A server without a credential of its own is asked for its catalog with the one that all its virtual servers use for it.
 * Where they differ it is asked without: what one credential shows is not for the callers of another.
 */
function lendCredentials(
  endpoints: ReadonlyMap<string, EndpointPlan>,
  servers: Map<string, Omit<ServerPlan, 'source'>>,
): void {
  const used = new Map<string, Map<string, Credential>>()
  for (const endpoint of endpoints.values()) {
    // A server's own endpoint has no say: nobody can call through it without a credential of its own.
    if (servers.has(endpoint.key)) continue
    for (const { server, credential } of endpoint.members) {
      used.set(server, (used.get(server) ?? new Map<string, Credential>()).set(JSON.stringify(credential), credential))
    }
  }
  for (const [key, credentials] of used) {
    const server = servers.get(key)
    const [only, ...others] = credentials.values()
    if (server?.credential.kind !== 'none' || only === undefined || others.length > 0) continue
    servers.set(key, { ...server, credential: only })
  }
}

function planServer(server: ServerResource, resources: Resources): Omit<ServerPlan, 'source'> {
  const { spec } = server
  const { namespace } = server.metadata
  const { addPlaintextHeaders = {}, addHeadersFromSecret = [] } = spec.headerForward ?? {}
  return {
    key: serverKey(server),
    url: spec.remoteUrl,
    transport: spec.transport,
    allowPrivate: spec.allowPrivateEndpoint,
    credential: ownCredential(server, resources),
    headers: Object.fromEntries(
      Object.entries(addPlaintextHeaders).map(([name, value]) => [name.toLowerCase(), value]),
    ),
    secretHeaders: addHeadersFromSecret.map(({ headerName, valueSecretRef }) => ({
      header: headerName.toLowerCase(),
      secret: { namespace, ...valueSecretRef },
    })),
  }
}

function ownCredential(server: ServerResource, resources: Resources): Credential {
  const ref = server.spec.externalAuthConfigRef
  return ref === undefined ? { kind: 'none' } : credential(server.metadata.namespace, ref.name, resources)
}

function credential(namespace: string, name: string, resources: Resources): Credential {
  const config = resources.get(resourceKey('MCPExternalAuthConfig', namespace, name))
  if (config?.kind !== 'MCPExternalAuthConfig') {
    return { kind: 'refused', message: `the MCPExternalAuthConfig ${namespace}/${name} does not exist` }
  }
  const { spec }: MCPExternalAuthConfig = config
  if (spec.type === 'unauthenticated') return { kind: 'none' }
  if (spec.type === 'bearerToken' && spec.bearerToken !== undefined) {
    const secret = { namespace, ...spec.bearerToken.tokenSecretRef }
    return { kind: 'header', header: 'authorization', prefix: 'Bearer ', secret }
  }
  if (spec.type === 'headerInjection' && spec.headerInjection !== undefined) {
    const { headerName, valueSecretRef } = spec.headerInjection
    return { kind: 'header', header: headerName.toLowerCase(), prefix: '', secret: { namespace, ...valueSecretRef } }
  }
  return { kind: 'refused', message: `authentication of type ${spec.type} is not available at the edge yet` }
}

function planProxy(
  proxy: ServerResource & { kind: 'MCPRemoteProxy' },
  resources: Resources,
  defaultIssuer: IssuerPlan | undefined,
): EndpointPlan {
  const { spec } = proxy
  const unenforceable = spec.authzConfig !== undefined || spec.authzConfigRef !== undefined
  const member = planMember(proxy, resources)
  return {
    key: serverKey(proxy),
    guard: unenforceable ? NOBODY : guard(spec.oidcConfigRef, proxy, resources, defaultIssuer),
    members: [member],
    aggregation: { ...DEFAULT_AGGREGATION, prefixFormat: '' },
    rules: [],
  }
}

function planVirtual(
  virtual: VirtualResource,
  resources: Resources,
  defaultIssuer: IssuerPlan | undefined,
): EndpointPlan {
  const { spec } = virtual
  const { incomingAuth } = spec
  const unenforceable = incomingAuth?.authzConfig !== undefined || incomingAuth?.authzConfigRef !== undefined
  const anonymous = incomingAuth?.type === 'anonymous'
  const { conflictResolution, conflictResolutionConfig, excludeAllTools, defaultToolVisibility } =
    spec.config.aggregation
  return {
    key: serverKey(virtual),
    guard: unenforceable
      ? NOBODY
      : anonymous
        ? { ...NOBODY, issuers: undefined }
        : guard(incomingAuth?.oidcConfigRef, virtual, resources, defaultIssuer),
    members: members(virtual, resources).servers.map((server) => planMember(server, resources, virtual)),
    aggregation: {
      strategy: conflictResolution,
      prefixFormat: conflictResolutionConfig.prefixFormat,
      priorityOrder: conflictResolutionConfig.priorityOrder ?? [],
      excludeAllTools: excludeAllTools ?? false,
      defaultToolVisibility: defaultToolVisibility ?? 'allow',
    },
    rules: rulesFor('VirtualMCPServer', virtual, resources),
  }
}

/** A server as a member: of a virtual server, or of its own endpoint. */
function planMember(server: ServerResource, resources: Resources, virtual?: VirtualResource): MemberPlan {
  const workload = server.metadata.name
  const settings = virtual?.spec.config.aggregation.tools?.find((one) => one.workload === workload)
  const ownConfig = server.kind === 'MCPRemoteProxy' ? server.spec.toolConfigRef : undefined
  const configs = [
    ...(ownConfig === undefined ? [] : [toolConfig(server.metadata.namespace, ownConfig.name, resources)]),
    ...(settings?.toolConfigRef === undefined || virtual === undefined
      ? []
      : [toolConfig(virtual.metadata.namespace, settings.toolConfigRef.name, resources)]),
  ]
  const filters = [...configs.map((config) => config?.filter), settings?.filter].filter((one) => one !== undefined)
  const [first, ...others] = filters
  const operational = virtual?.spec.config.operational
  const breaker = operational?.failureHandling?.circuitBreaker
  return {
    server: serverKey(server),
    workload,
    credential: memberCredential(server, resources, virtual),
    excludeAll: settings?.excludeAll === true || configs.includes(undefined),
    filter: first?.filter((name) => others.every((other) => other.includes(name))),
    overrides: Object.assign({}, ...configs.map((config) => config?.overrides), settings?.overrides) as Record<
      string,
      Override
    >,
    rules: rulesFor(server.kind, server, resources),
    timeoutMs: timeout(workload, virtual),
    breaker:
      breaker === undefined
        ? BREAKER
        : { threshold: breaker.failureThreshold, openMs: milliseconds(breaker.timeout) ?? BREAKER.openMs },
  }
}

function memberCredential(
  server: ServerResource,
  resources: Resources,
  virtual: VirtualResource | undefined,
): Credential {
  const own = ownCredential(server, resources)
  const outgoing = virtual?.spec.outgoingAuth
  if (virtual === undefined || outgoing === undefined) return own
  const { namespace } = virtual.metadata
  // A bare name means a server of the virtual server's own namespace: another's must not get its credential.
  const isOwn = server.metadata.namespace === namespace
  const named =
    outgoing.backends?.[serverKey(server)] ?? (isOwn ? outgoing.backends?.[server.metadata.name] : undefined)
  const special = named?.externalAuthConfigRef
  if (special !== undefined) return credential(namespace, special.name, resources)
  const fallback = outgoing.default?.externalAuthConfigRef
  return own.kind === 'none' && fallback !== undefined && isOwn ? credential(namespace, fallback.name, resources) : own
}

function timeout(workload: string, virtual: VirtualResource | undefined): number {
  const annotated = virtual?.metadata.annotations?.['waggle.dev/call-timeout']
  const timeouts = virtual?.spec.config.operational?.timeouts
  const text = annotated ?? timeouts?.perWorkload?.[workload] ?? timeouts?.default
  return text === undefined ? CALL_TIMEOUT_MS : (milliseconds(text) ?? CALL_TIMEOUT_MS)
}

/** Undefined when the config does not exist: its filter is unknown, so nothing may pass. */
function toolConfig(
  namespace: string,
  name: string,
  resources: Resources,
): { filter: readonly string[] | undefined; overrides: Readonly<Record<string, Override>> } | undefined {
  const config = resources.get(resourceKey('MCPToolConfig', namespace, name))
  if (config?.kind !== 'MCPToolConfig') return undefined
  return { filter: config.spec.toolsFilter, overrides: config.spec.toolsOverride ?? {} }
}

interface OidcRef {
  readonly name: string
  readonly audience?: string | undefined
  readonly resourceUrl?: string | undefined
  readonly scopes?: readonly string[] | undefined
}

function guard(
  ref: OidcRef | undefined,
  owner: StoredResource,
  resources: Resources,
  defaultIssuer: IssuerPlan | undefined,
): GuardPlan {
  const extra = commaList(owner.metadata.annotations?.['waggle.dev/additional-oidc-configs'])
  const names = [...(ref === undefined ? [] : [ref.name]), ...extra]
  const named = names.flatMap((name) => issuerOf(owner.metadata.namespace, name, resources) ?? [])
  const issuers = ref === undefined && defaultIssuer !== undefined ? [defaultIssuer, ...named] : named
  return { issuers, audience: ref?.audience, resource: ref?.resourceUrl, scopes: ref?.scopes ?? [] }
}

function issuerOf(namespace: string, name: string, resources: Resources): IssuerPlan | undefined {
  const config = resources.get(resourceKey('MCPOIDCConfig', namespace, name))
  if (config?.kind !== 'MCPOIDCConfig') return undefined
  const { spec, metadata }: MCPOIDCConfig = config
  if (spec.type !== 'inline' || spec.inline === undefined) return undefined
  const { inline } = spec
  const annotations = metadata.annotations ?? {}
  const skew = annotations['waggle.dev/clock-skew']
  const allowed = commaList(annotations['waggle.dev/algorithms']).filter((one) =>
    (algorithms as readonly string[]).includes(one),
  )
  return {
    issuer: inline.issuer,
    jwksUrl: inline.jwksUrl,
    introspectionUrl: inline.introspectionUrl,
    clientId: inline.clientId,
    clientSecret: inline.clientSecretRef === undefined ? undefined : { namespace, ...inline.clientSecretRef },
    algorithms: allowed.length > 0 ? allowed : DEFAULT_ALGORITHMS,
    clockSkewSeconds: skew === undefined ? 60 : (milliseconds(skew) ?? 60_000) / 1000,
    groupsClaim: annotations['waggle.dev/groups-claim'] ?? 'groups',
    allowHttp: inline.insecureAllowHTTP,
    allowPrivate: inline.jwksAllowPrivateIP,
  }
}

/** The rules of every ToolPolicy on this target. Clusters and namespaces are decided here: an unmet rule admits nobody. */
function rulesFor(kind: string, target: StoredResource, resources: Resources): Rule[] {
  const { namespace, name } = target.metadata
  const found: Rule[] = []
  for (const policy of policiesOf(resources).get(`${kind}/${namespace}/${name}`) ?? []) {
    for (const { tools, groups, claims, scopes, clusters, namespaces } of policy.spec.rules) {
      const elsewhere = clusters?.includes('edge') === false || namespaces?.includes(namespace) === false
      found.push({
        tools,
        ...(elsewhere ? { groups: [] } : groups !== undefined && { groups }),
        ...(claims !== undefined && { claims }),
        ...(scopes !== undefined && { scopes }),
      })
    }
  }
  return found
}

type Policy = Extract<StoredResource, { kind: 'ToolPolicy' }>
const policyIndexes = new WeakMap<Resources, ReadonlyMap<string, readonly Policy[]>>()

function policiesOf(resources: Resources): ReadonlyMap<string, readonly Policy[]> {
  const known = policyIndexes.get(resources)
  if (known !== undefined) return known
  const index = new Map<string, Policy[]>()
  for (const resource of resources.values()) {
    if (resource.kind !== 'ToolPolicy') continue
    const { kind, name } = resource.spec.targetRef
    const key = `${kind}/${resource.metadata.namespace}/${name}`
    index.set(key, [...(index.get(key) ?? []), resource])
  }
  policyIndexes.set(resources, index)
  return index
}
