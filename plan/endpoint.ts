// Resources → what the edge must do: endpoints with their guards, members and rules, and servers with their addresses.
// Pure and fail-closed: a reference that leads nowhere takes away, it never gives.

import { algorithms, commaList } from '../crds/annotation.ts'
import { milliseconds } from '../crds/duration.ts'
import type { MCPOIDCConfig } from '../crds/mcp-oidc-config.ts'
import { DEFAULT_ALGORITHMS } from '../gateway/auth/issuer.ts'
import type { BreakerSettings } from '../gateway/backend/breaker.ts'
import type { Override } from '../gateway/catalog/catalog.ts'
import { instanceKey, type FleetMode } from '../gateway/catalog/fleet.ts'
import { DEFAULT_AGGREGATION, type Aggregation } from '../gateway/catalog/merge.ts'
import { glob, type Rule } from '../gateway/policy.ts'
import type { EndpointResource } from './address.ts'
import { consents, isServer, members, serverKey, type ServerResource, type VirtualResource } from './members.ts'
import { resourceKey, type Resource, type Resources } from './resources.ts'
import {
  lendCredentials,
  memberCredential,
  planServer,
  type Credential,
  type SecretRef,
  type ServerDraft,
  type ServerPlan,
} from './server.ts'
import { certificates, identity, type Site } from './site.ts'

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
  /** PEM certificates to trust besides the system's. */
  readonly ca: string | undefined
  /** Its keys are at the cluster's API server, which wants the pod's own token. */
  readonly clusterAuth: boolean
  /** Only these subjects, one that ends with a colon for all that begin so; undefined: all. */
  readonly subjects: readonly string[] | undefined
}

export interface GuardPlan {
  /** Undefined: anonymous callers may enter. Empty: nobody may. */
  readonly issuers: readonly IssuerPlan[] | undefined
  /** Undefined: the endpoint's URL. */
  readonly audience: string | undefined
  readonly resource: string | undefined
  readonly scopes: readonly string[]
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
  /** Where the server is when clusters published it: then it is called there, as the caller. */
  readonly fleet?: FleetPlan
}

/** A server in one cluster, as the edge calls it. */
export interface InstancePlan {
  /** See `instanceKey`. */
  readonly server: string
  readonly cluster: string
  /** Its proxy, as the link names it: `http://link/<namespace>/<kind>/<name>`. */
  readonly url: string
  /** Of assertions for it. */
  readonly audience: string
  /** Digest of its catalog; undefined while it is not known. */
  readonly catalog: string | undefined
  /** When the edge saw it first, in milliseconds since the epoch. */
  readonly since: number
  readonly trustHints: boolean
  /** All rules that hold for it, those of the endpoint included. */
  readonly rules: readonly Rule[]
}

export interface FleetPlan {
  readonly mode: FleetMode
  readonly instances: readonly InstancePlan[]
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
/** Of instances in clusters: a link that is lost fails all calls on it at once, and may be back a second later. */
const LINKED: BreakerSettings = { threshold: 5, openMs: 2_000 }
const NOBODY: GuardPlan = { issuers: [], audience: undefined, resource: undefined, scopes: [] }

/** All endpoints and servers of an edge; `resources` are its own. */
export function plan(resources: Resources, site: Site): Plan {
  const endpoints = new Map<string, EndpointPlan>()
  const servers = new Map<string, ServerDraft>()
  const { fleets } = site
  const all = [...(fleets?.resources ?? resources).values()]
  for (const resource of all) {
    if (!isServer(resource)) continue
    const key = serverKey(resource)
    if (fleets === undefined || fleets.instances(key).length === 0)
      servers.set(key, planServer(resource, resources, site))
    if (resource.kind !== 'MCPServerEntry') endpoints.set(key, planProxy(resource, resources, site))
  }
  for (const resource of all) {
    if (resource.kind !== 'VirtualMCPServer') continue
    endpoints.set(serverKey(resource), planVirtual(resource, fleets?.around(resource) ?? resources, site))
  }
  return { endpoints, servers: lendCredentials(endpoints.values(), servers) }
}

/** The endpoint of one server. */
export function planProxy(
  proxy: Exclude<ServerResource, { kind: 'MCPServerEntry' }>,
  resources: Resources,
  site: Site,
): EndpointPlan {
  const { spec } = proxy
  const door = spec.authServerRef === undefined ? site : { ...site, open: false }
  const member = planMember(proxy, resources, site)
  return {
    key: serverKey(proxy),
    guard: isShut(proxy) ? NOBODY : guard(spec.oidcConfigRef, proxy, resources, door),
    members: [member],
    aggregation: { ...DEFAULT_AGGREGATION, prefixFormat: '' },
    rules: [],
  }
}

/**
 * Whether nobody may call, whoever vouches for them: what its owner states about callers and cannot be enforced must not look
 * enforced.
 */
export function isShut(resource: EndpointResource): boolean {
  if (resource.kind === 'VirtualMCPServer') {
    const { incomingAuth, config } = resource.spec
    const { authzConfig, authzConfigRef } = incomingAuth ?? {}
    return authzConfig !== undefined || authzConfigRef !== undefined || config.incomingAuth?.authz !== undefined
  }
  const { authzConfig, authzConfigRef } = resource.spec
  const isHooked = resource.kind === 'MCPServer' && resource.spec.webhookConfigRef !== undefined
  return authzConfig !== undefined || authzConfigRef !== undefined || isHooked
}

/** The endpoint of a virtual server. */
export function planVirtual(virtual: VirtualResource, resources: Resources, site: Site): EndpointPlan {
  const { spec } = virtual
  const { incomingAuth } = spec
  const { incomingAuth: written, aggregation } = spec.config
  const anonymous = incomingAuth?.type === 'anonymous'
  const closed = spec.authServerConfig !== undefined || (incomingAuth === undefined && written !== undefined)
  const door = closed ? { ...site, open: false } : site
  const { conflictResolution, conflictResolutionConfig, excludeAllTools, defaultToolVisibility } = aggregation
  return {
    key: serverKey(virtual),
    guard: isShut(virtual)
      ? NOBODY
      : anonymous
        ? { ...NOBODY, issuers: undefined }
        : guard(incomingAuth?.oidcConfigRef, virtual, resources, door),
    members: members(virtual, resources)
      .servers.filter((server) => site.fleets?.concerns(virtual, server) !== false)
      .map((server) => planMember(server, resources, site, virtual)),
    aggregation: {
      strategy: conflictResolution,
      prefixFormat: conflictResolutionConfig.prefixFormat,
      priorityOrder: conflictResolutionConfig.priorityOrder ?? [],
      excludeAllTools: excludeAllTools ?? false,
      defaultToolVisibility: defaultToolVisibility ?? 'allow',
    },
    rules: rulesFor(virtual, resources, { cluster: site.cluster, ...virtual.metadata }).filter(
      (rule) => rule.place === undefined,
    ),
  }
}

/** A server as a member: of a virtual server, or of its own endpoint. */
function planMember(server: ServerResource, resources: Resources, site: Site, virtual?: VirtualResource): MemberPlan {
  const workload = server.metadata.name
  const settings = virtual?.spec.config.aggregation.tools?.find((one) => one.workload === workload)
  const ownRef = server.kind === 'MCPServerEntry' ? undefined : server.spec.toolConfigRef
  const own = ownRef === undefined ? [] : [toolConfig(server.metadata.namespace, ownRef.name, resources)]
  // A proxy of its own has applied the server's own configuration before the virtual server sees it.
  const fleet = fleetOf(server, resources, site, virtual)
  const isBehindProxy =
    fleet !== undefined || (virtual !== undefined && site.proxies && server.kind !== 'MCPServerEntry')
  const configs = [
    ...(isBehindProxy ? [] : own),
    ...(settings?.toolConfigRef === undefined || virtual === undefined
      ? []
      : [toolConfig(virtual.metadata.namespace, settings.toolConfigRef.name, resources)]),
  ]
  const filters = [...configs.map((config) => config?.filter), settings?.filter].filter((one) => one !== undefined)
  const [first, ...others] = filters
  const rules = memberRules(server, virtual, resources, site.cluster)
  const operational = virtual?.spec.config.operational
  const breaker = operational?.failureHandling?.circuitBreaker
  return {
    server: serverKey(server),
    workload,
    credential: isBehindProxy
      ? { kind: 'assertion', audience: identity({ cluster: site.cluster, kind: server.kind, ...server.metadata }) }
      : memberCredential(server, resources, virtual),
    excludeAll: settings?.excludeAll === true || configs.includes(undefined),
    filter: first?.filter((name) => others.every((other) => other.includes(name))),
    overrides: Object.assign({}, ...configs.map((config) => config?.overrides), settings?.overrides) as Record<
      string,
      Override
    >,
    rules: isBehindProxy ? rules.map((rule) => respelled(rule, own)) : rules,
    timeoutMs: timeout(workload, virtual),
    breaker:
      breaker === undefined
        ? fleet === undefined
          ? BREAKER
          : LINKED
        : { threshold: breaker.failureThreshold, openMs: milliseconds(breaker.timeout) ?? BREAKER.openMs },
    ...(fleet !== undefined && { fleet }),
  }
}

/** The instances of a server that clusters published; undefined for servers of the site itself. */
function fleetOf(
  server: ServerResource,
  resources: Resources,
  site: Site,
  virtual: VirtualResource | undefined,
): FleetPlan | undefined {
  const key = serverKey(server)
  const placed = site.fleets?.instances(key) ?? []
  if (placed.length === 0) return undefined
  const consenting = placed.filter(
    ({ server: one, cluster }) =>
      virtual === undefined ||
      (consents(one, virtual.metadata.namespace) && site.fleets?.reaches(virtual, cluster) === true),
  )
  const federation = 'waggle.dev/federation'
  const mode = virtual?.metadata.annotations?.[federation] ?? server.metadata.annotations?.[federation]
  return {
    mode: MODES.find((one) => one === mode) ?? 'addressable',
    instances: consenting.map(({ cluster, server: instance, catalog, since, resources: around }) => {
      const { kind, metadata, spec } = instance
      const { namespace, name } = metadata
      const at = { cluster, namespace }
      const ofVirtual =
        virtual === undefined ? [] : [resources, around].flatMap((one, nth) => rulesFor(virtual, one, at, `${nth} `))
      const ref = kind === 'MCPServerEntry' ? undefined : spec.toolConfigRef
      const own = ref === undefined ? [] : [toolConfig(namespace, ref.name, around)]
      return {
        server: instanceKey(key, cluster),
        cluster,
        url: `http://link/${namespace}/${kind}/${name}`,
        audience: identity({ cluster, kind, namespace, name }),
        catalog,
        since,
        trustHints: metadata.annotations?.['waggle.dev/trust-hints'] === 'true',
        rules: [...ofVirtual, ...PROXIED.flatMap((one) => rulesFor({ kind: one, metadata }, around, at))].map((rule) =>
          respelled(rule, own),
        ),
      }
    }),
  }
}

/** Instances of one name are one server: of whichever kind a policy says it is, it holds for all of them. */
const PROXIED = ['MCPServer', 'MCPRemoteProxy'] as const

const MODES = ['addressable', 'interchangeable', 'prefixed'] as const satisfies readonly FleetMode[]

/** A rule about names that a proxy has changed already: it holds for their new ones as well. */
function respelled(rule: Rule, configs: readonly (ToolConfig | undefined)[]): Rule {
  const matches = rule.tools.map(glob)
  const renamed = configs.flatMap((config) =>
    Object.entries(config?.overrides ?? {}).flatMap(([original, { name }]) =>
      name !== undefined && matches.some((match) => match(original)) ? [name] : [],
    ),
  )
  return renamed.length === 0 ? rule : { ...rule, tools: [...rule.tools, ...renamed] }
}

function timeout(workload: string, virtual: VirtualResource | undefined): number {
  const annotated = virtual?.metadata.annotations?.['waggle.dev/call-timeout']
  const timeouts = virtual?.spec.config.operational?.timeouts
  const text = annotated ?? timeouts?.perWorkload?.[workload] ?? timeouts?.default
  return text === undefined ? CALL_TIMEOUT_MS : (milliseconds(text) ?? CALL_TIMEOUT_MS)
}

interface ToolConfig {
  readonly filter: readonly string[] | undefined
  readonly overrides: Readonly<Record<string, Override>>
}

/** Undefined when the config does not exist: its filter is unknown, so nothing may pass. */
function toolConfig(namespace: string, name: string, resources: Resources): ToolConfig | undefined {
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

function guard(ref: OidcRef | undefined, owner: Resource, resources: Resources, site: Site): GuardPlan {
  const extra = commaList(owner.metadata.annotations?.['waggle.dev/additional-oidc-configs'])
  const names = [...(ref === undefined ? [] : [ref.name]), ...extra]
  const named = names.flatMap((name) => issuerOf(owner.metadata.namespace, name, resources, site) ?? [])
  const { defaultIssuer, defaultAudience } = site
  if (ref === undefined && defaultIssuer === undefined && extra.length === 0 && site.open)
    return { ...NOBODY, issuers: undefined }
  if (ref === undefined && defaultIssuer !== undefined)
    return { ...NOBODY, issuers: [defaultIssuer, ...named], audience: defaultAudience }
  return { issuers: named, audience: ref?.audience, resource: ref?.resourceUrl, scopes: ref?.scopes ?? [] }
}

/** The issuer of an MCPOIDCConfig; undefined where there is none, or none whose tokens can be verified at this site. */
export function issuerOf(namespace: string, name: string, resources: Resources, site: Site): IssuerPlan | undefined {
  const config = resources.get(resourceKey('MCPOIDCConfig', namespace, name))
  if (config?.kind !== 'MCPOIDCConfig') return undefined
  const { spec, metadata }: MCPOIDCConfig = config
  const annotations = metadata.annotations ?? {}
  const skew = annotations['waggle.dev/clock-skew']
  const allowed = commaList(annotations['waggle.dev/algorithms']).filter((one) =>
    (algorithms as readonly string[]).includes(one),
  )
  const common = {
    algorithms: allowed.length > 0 ? allowed : DEFAULT_ALGORITHMS,
    clockSkewSeconds: skew === undefined ? 60 : (milliseconds(skew) ?? 60_000) / 1000,
    groupsClaim: annotations['waggle.dev/groups-claim'] ?? 'groups',
  }
  const { inline, kubernetesServiceAccount: own } = spec
  if (spec.type === 'kubernetesServiceAccount')
    return site.serviceAccounts ? { ...common, ...ofCluster(own, namespace) } : undefined
  if (inline === undefined) return undefined
  return {
    ...common,
    issuer: inline.issuer,
    jwksUrl: inline.jwksUrl,
    introspectionUrl: inline.introspectionUrl,
    clientId: inline.clientId,
    clientSecret: inline.clientSecretRef === undefined ? undefined : { namespace, ...inline.clientSecretRef },
    allowHttp: inline.insecureAllowHTTP,
    allowPrivate: inline.jwksAllowPrivateIP,
    ca: inline.caBundleRef === undefined ? undefined : certificates(inline.caBundleRef, namespace, site),
    clusterAuth: false,
    subjects: undefined,
  }
}

const API_SERVER = 'https://kubernetes.default.svc'

/** Tokens of the cluster's service accounts, as the API server issues them; of one account, of one namespace, or of all. */
function ofCluster(
  spec: MCPOIDCConfig['spec']['kubernetesServiceAccount'],
  home: string,
): Omit<IssuerPlan, 'algorithms' | 'clockSkewSeconds' | 'groupsClaim'> {
  const { issuer = API_SERVER, jwksUrl, serviceAccount = '', namespace = '' } = spec ?? {}
  const accounts = `system:serviceaccount:${namespace === '' ? home : namespace}:`
  return {
    issuer,
    jwksUrl: jwksUrl ?? `${API_SERVER}/openid/v1/jwks`,
    introspectionUrl: undefined,
    clientId: undefined,
    clientSecret: undefined,
    allowHttp: false,
    allowPrivate: true,
    ca: undefined,
    clusterAuth: true,
    subjects: serviceAccount === '' && namespace === '' ? undefined : [`${accounts}${serviceAccount}`],
  }
}

/** Where a server is that rules are about. */
export interface Place {
  readonly cluster: string
  readonly namespace: string
}

/**
 * The rules about the tools of a member: those of its server, and those of the virtual server that depend on where the server is.
 * The virtual server's other rules are the endpoint's.
 */
export function memberRules(
  server: ServerResource,
  virtual: VirtualResource | undefined,
  resources: Resources,
  cluster: string,
): Rule[] {
  const place = { cluster, namespace: server.metadata.namespace }
  const placements =
    virtual === undefined ? [] : rulesFor(virtual, resources, place).filter((rule) => rule.place !== undefined)
  return [...rulesFor(server, resources, place), ...placements]
}

/**
 * The rules of every ToolPolicy on this target, for servers at `place`. `origin` tells apart policies of one name in several
 * `resources`: one must not be an alternative to the other.
 */
export function rulesFor(
  target: { readonly kind: string; readonly metadata: { readonly namespace: string; readonly name: string } },
  resources: Resources,
  place: Place,
  origin = '',
): Rule[] {
  const { kind } = target
  const { namespace, name } = target.metadata
  const found: Rule[] = []
  for (const policy of policiesOf(resources).get(`${kind}/${namespace}/${name}`) ?? []) {
    for (const { tools, groups, claims, scopes, clusters, namespaces, trustHints } of policy.spec.rules) {
      const elsewhere = clusters?.includes(place.cluster) === false || namespaces?.includes(place.namespace) === false
      const isPlacement = clusters !== undefined || namespaces !== undefined
      found.push({
        tools,
        // Whoever reads this and knows no placements must not take it for less.
        ...(elsewhere ? { groups: [] } : groups !== undefined && { groups }),
        ...(claims !== undefined && { claims }),
        ...(scopes !== undefined && { scopes }),
        ...(isPlacement && { place: { policy: `${origin}${namespace}/${policy.metadata.name}`, here: !elsewhere } }),
        ...(trustHints !== undefined && { trustHints }),
      })
    }
  }
  return found
}

type Policy = Extract<Resource, { kind: 'ToolPolicy' }>
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
