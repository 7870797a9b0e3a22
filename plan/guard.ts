// Who may call an endpoint: the issuers that vouch for callers, and what their tokens must say. Fail-closed: an issuer that does not
// exist vouches for nobody, and what cannot be enforced shuts the endpoint.

import { algorithms, commaList } from '../crds/annotation.ts'
import { milliseconds } from '../crds/duration.ts'
import type { MCPOIDCConfig } from '../crds/mcp-oidc-config.ts'
import { DEFAULT_ALGORITHMS } from '../gateway/auth/issuer.ts'
import type { EndpointResource } from './address.ts'
import type { IssuerPlan } from './issuer.ts'
import { resourceKey, type Resource, type Resources } from './resources.ts'
import { certificates, type Site } from './site.ts'

export interface GuardPlan {
  /** Undefined: anonymous callers may enter. Empty: nobody may. */
  readonly issuers: readonly IssuerPlan[] | undefined
  /** Undefined: the endpoint's URL. */
  readonly audience: string | undefined
  readonly resource: string | undefined
  readonly scopes: readonly string[]
}

export const NOBODY: GuardPlan = { issuers: [], audience: undefined, resource: undefined, scopes: [] }

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

interface OidcRef {
  readonly name: string
  readonly audience?: string | undefined
  readonly resourceUrl?: string | undefined
  readonly scopes?: readonly string[] | undefined
}

/** The guard of an endpoint whose `oidcConfigRef` is `ref`; `owner` may name further issuers by annotation. */
export function guardOf(ref: OidcRef | undefined, owner: Resource, resources: Resources, site: Site): GuardPlan {
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
