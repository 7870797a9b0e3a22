// Where servers are and how the edge authenticates to them. Pure and fail-closed: a credential that leads nowhere means no call.

import type { MCPExternalAuthConfig } from '../crds/mcp-external-auth-config.ts'
import { fingerprint } from '../gateway/catalog/hash.ts'
import { serverKey, type ServerResource, type VirtualResource } from './members.ts'
import { catalogUrl, endpointUrl, serverUrl } from './address.ts'
import type { SecretRef } from './references.ts'
import { resourceKey, type Resources } from './resources.ts'
import { certificates, identity, type Site } from './site.ts'

/** How a server is authenticated to; `refused` says why it cannot be. */
export type Credential =
  | { readonly kind: 'none' }
  | { readonly kind: 'header'; readonly header: string; readonly prefix: string; readonly secret: SecretRef }
  /** The caller travels as an assertion for this server. */
  | { readonly kind: 'assertion'; readonly audience: string }
  | { readonly kind: 'refused'; readonly message: string }

export interface ServerPlan {
  readonly key: string
  /** Tells whether a stored catalog was fetched from where the server is now, as whom it is asked now. */
  readonly source: string
  readonly url: string
  readonly transport: 'streamable-http' | 'sse'
  readonly allowPrivate: boolean
  /** PEM certificates to trust besides the system's. */
  readonly ca: string | undefined
  /** Where its catalog is published; undefined: the server itself is asked. */
  readonly catalogUrl: string | undefined
  readonly credential: Credential
  readonly headers: Readonly<Record<string, string>>
  readonly secretHeaders: readonly { readonly header: string; readonly secret: SecretRef }[]
}

/** A server before it is known as whom its catalog is asked for. */
export type ServerDraft = Omit<ServerPlan, 'source'>

/** A server that is called directly. */
export function planServer(server: ServerResource, resources: Resources, site: Site): ServerDraft {
  const { namespace } = server.metadata
  if (server.kind === 'MCPServer') return planOwn(server, resources, site)
  const { spec } = server
  const { addPlaintextHeaders = {}, addHeadersFromSecret = [] } = spec.headerForward ?? {}
  return {
    key: serverKey(server),
    url: spec.remoteUrl,
    transport: spec.transport,
    allowPrivate: spec.allowPrivateEndpoint,
    ca: bundle(server, site),
    catalogUrl: undefined,
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

/** A server whose pods the operator runs: its proxy alone reaches it. */
function planOwn(server: ServerResource & { kind: 'MCPServer' }, resources: Resources, site: Site): ServerDraft {
  const { transport } = server.spec
  const isServed = transport === 'streamable-http' || (transport === 'stdio' && site.processes === true)
  const message = `servers with transport ${transport} are not served yet; use streamable-http`
  return {
    key: serverKey(server),
    url: serverUrl(server),
    transport: 'streamable-http',
    allowPrivate: true,
    ca: undefined,
    catalogUrl: undefined,
    credential: isServed ? ownCredential(server, resources) : { kind: 'refused', message },
    headers: {},
    secretHeaders: [],
  }
}

/** A member of a cluster's virtual server: its own proxy is called, as the caller. */
export function planMemberProxy(server: Exclude<ServerResource, { kind: 'MCPServerEntry' }>, site: Site): ServerDraft {
  return {
    key: serverKey(server),
    url: endpointUrl(server),
    transport: 'streamable-http',
    allowPrivate: true,
    ca: undefined,
    catalogUrl: catalogUrl(server),
    credential: {
      kind: 'assertion',
      audience: identity({ cluster: site.cluster, kind: server.kind, ...server.metadata }),
    },
    headers: {},
    secretHeaders: [],
  }
}

function bundle(server: ServerResource, site: Site): string | undefined {
  const ref = server.kind === 'MCPServerEntry' ? server.spec.caBundleRef : undefined
  return ref === undefined ? undefined : certificates(ref, server.metadata.namespace, site)
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

export function memberCredential(
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

function sourceOf({ url, transport, credential, headers, secretHeaders }: ServerDraft): string {
  return fingerprint(JSON.stringify([url, transport, credential, headers, secretHeaders]))
}

/**
 * A server without a credential of its own is asked for its catalog with the one that all its virtual servers use for it.
 * Where they differ it is asked without: what one credential shows is not for the callers of another.
 */
export function lendCredentials(
  endpoints: Iterable<{
    readonly key: string
    readonly members: readonly { readonly server: string; readonly credential: Credential }[]
  }>,
  servers: Map<string, ServerDraft>,
): ReadonlyMap<string, ServerPlan> {
  const used = new Map<string, Map<string, Credential>>()
  for (const endpoint of endpoints) {
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
  return new Map([...servers].map(([key, server]) => [key, { ...server, source: sourceOf(server) }]))
}
