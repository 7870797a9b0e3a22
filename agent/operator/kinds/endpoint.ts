// What the proxies of a server or virtual server run: everything that all kinds with an endpoint have in common.
// Fail-closed: a default issuer that is named and not there admits nobody, instead of everybody.

import { planEndpoint } from '../../../plan/cluster.ts'
import {
  endpointPort,
  endpointPrefix,
  endpointUrl,
  VIRTUAL_PORT,
  type EndpointResource,
} from '../../../plan/address.ts'
import { isShut, issuerOf, type GuardPlan } from '../../../plan/guard.ts'
import type { SecretRef } from '../../../plan/references.ts'
import { pemOf, type Site } from '../../../plan/site.ts'
import type { RunConfig, Signer } from '../../run-config.ts'
import type { ConditionDraft, World } from '../kind.ts'
import { containerPort } from '../proxy.ts'
import { no, some, yes } from './condition.ts'
import { linkSigners } from './link-trust.ts'
import { signersOf } from './trust.ts'

/** The cluster as planning sees it. */
export function siteOf(world: World): Site {
  const { cluster, defaultOidcConfig, requireAuthentication } = world.settings
  const site: Site = {
    cluster,
    defaultIssuer: undefined,
    defaultAudience: defaultOidcConfig?.audience,
    open: !requireAuthentication && defaultOidcConfig === undefined,
    proxies: true,
    serviceAccounts: true,
    fleets: undefined,
    configMap: (namespace, name) => world.object('ConfigMap', namespace, name)?.data,
  }
  if (defaultOidcConfig === undefined) return site
  const { namespace, name } = defaultOidcConfig
  return { ...site, defaultIssuer: issuerOf(namespace, name, world.resources, site) }
}

export function runConfigOf(resource: EndpointResource, world: World): RunConfig {
  const { settings } = world
  const { kind } = resource
  const { namespace, name } = resource.metadata
  const { endpoint, servers } = planEndpoint(resource, world.resources, siteOf(world))
  // Not even by a resource that says so may anybody be let in unknown.
  const shut = settings.requireAuthentication && isAnonymous(endpoint.guard)
  return {
    format: 1,
    self: { cluster: settings.cluster, kind, namespace, name },
    port: containerPort(kind === 'VirtualMCPServer' ? VIRTUAL_PORT : endpointPort(resource)),
    prefix: endpointPrefix(resource),
    url: endpointUrl(resource),
    trustProxyHeaders: kind !== 'VirtualMCPServer' && resource.spec.trustProxyHeaders === true,
    endpoint: shut ? { ...endpoint, guard: { ...endpoint.guard, issuers: [] } } : endpoint,
    servers,
    signers: believed(resource, endpoint.guard) ? signers(resource, world) : [],
    egressAllow: settings.egressAllow,
    extraCa: extraCa(world),
    audit: { enabled: audits(resource) },
  }
}

function signers(resource: EndpointResource, world: World): Signer[] {
  const virtual = resource.kind === 'VirtualMCPServer' ? [] : signersOf(resource, world)
  return [...virtual, ...linkSigners(resource, world)]
}

/** Whether anybody may vouch for callers: nobody where its owner's own word about callers cannot be kept. */
function believed(resource: EndpointResource, { issuers }: GuardPlan): boolean {
  if (resource.kind === 'VirtualMCPServer') {
    const { incomingAuth, authServerConfig, config } = resource.spec
    const written = [incomingAuth, authServerConfig, config.incomingAuth]
    return issuers?.length !== 0 || written.every((one) => one === undefined)
  }
  const { oidcConfigRef, authServerRef } = resource.spec
  const isLost = issuers?.length === 0 && (oidcConfigRef !== undefined || authServerRef !== undefined)
  return !isLost && !isShut(resource)
}

/** Requests are audited unless the resource says that they are not. */
function audits(resource: EndpointResource): boolean {
  const audit = resource.kind === 'VirtualMCPServer' ? resource.spec.config.audit : resource.spec.audit
  return audit?.['enabled'] !== false
}

function extraCa(world: World): string {
  const { namespace, extraCaConfigMap } = world.settings
  if (extraCaConfigMap === undefined) return ''
  const data = world.object('ConfigMap', namespace, extraCaConfigMap)?.data ?? {}
  return Object.entries(data)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, text]) => pemOf(text))
    .filter((pem) => pem !== '')
    .join('\n')
}

/**
 * The values of Secrets that a proxy itself needs. Pods mount Secrets of their own namespace only: those of others (of an entry
 * of another namespace, or of the chart's default issuer) are `foreign`, and what needs them fails when it is called.
 */
export function secretsOf({ self, endpoint, servers }: RunConfig): { mounted: SecretRef[]; foreign: SecretRef[] } {
  const found = new Map<string, SecretRef>()
  const note = (ref: SecretRef | undefined): void => {
    if (ref !== undefined) found.set(`${ref.namespace}/${ref.name}/${ref.key}`, ref)
  }
  for (const issuer of endpoint.guard.issuers ?? []) note(issuer.clientSecret)
  for (const { credential } of [...endpoint.members, ...servers])
    if (credential.kind === 'header') note(credential.secret)
  for (const { secretHeaders } of servers) for (const { secret } of secretHeaders) note(secret)
  const all = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, ref]) => ref)
  return {
    mounted: all.filter(({ namespace }) => namespace === self.namespace),
    foreign: all.filter(({ namespace }) => namespace !== self.namespace),
  }
}

/** What fails for want of a Secret that no pod here can mount. */
export function foreignSecrets(config: RunConfig): ConditionDraft[] {
  const { foreign } = secretsOf(config)
  if (foreign.length === 0) return []
  const named = [...new Set(foreign.map(({ namespace, name }) => `${namespace}/${name}`))]
  const message = `pods cannot mount Secrets of other namespaces, so what needs ${some(named)} fails: put an MCPRemoteProxy in front of a server there; for an issuer that is asked about tokens, name an MCPOIDCConfig of this namespace`
  return [no('SecretsMounted', 'SecretInOtherNamespace', message)]
}

/** Anybody may call: nothing says who may. */
export function isAnonymous({ issuers }: GuardPlan): boolean {
  return issuers === undefined
}

/** Who may call, as the condition `AuthConfigured` of a server. False with reason `Anonymous` harms nobody but should be known. */
export function serverAuth(
  guard: GuardPlan,
  oidcRef: { readonly name: string } | undefined,
  world: World,
): ConditionDraft {
  const type = 'AuthConfigured'
  const { defaultOidcConfig: chart } = world.settings
  if (guard.issuers === undefined)
    return no(
      type,
      'Anonymous',
      'no authentication is configured, so everybody in this namespace may call: name an MCPOIDCConfig in spec.oidcConfigRef, or let the admin set operator.defaultOIDCConfigRef',
    )
  if (guard.issuers.length > 0) {
    const named =
      oidcRef?.name ?? (chart === undefined ? 'an annotation' : `${chart.namespace}/${chart.name}, the default`)
    return yes(type, 'AuthConfigured', `callers log in by MCPOIDCConfig ${named}`)
  }
  if (oidcRef !== undefined)
    return no(
      type,
      'AuthNotUsable',
      'callers are refused: what guards this endpoint cannot be used, as other conditions say',
    )
  if (chart !== undefined)
    return no(
      type,
      'DefaultOIDCConfigNotUsable',
      `callers are refused: the default MCPOIDCConfig ${chart.namespace}/${chart.name} does not exist, cannot be used, or is in a namespace that the operator does not watch`,
    )
  return no(
    type,
    'AuthenticationRequired',
    'callers are refused: the admin requires authentication, so name an MCPOIDCConfig in spec.oidcConfigRef',
  )
}
