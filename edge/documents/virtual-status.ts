// The status of a virtual server: who may get in, which servers it has, and how they are.

import { checkAuthorization, checkReferences, condition } from './condition.ts'
import type { Condition, SecretKeys } from './condition.ts'
import type { Health, HealthMap } from './health.ts'
import { serverUrl } from '../../plan/address.ts'
import { consentAnnotation, members, serverKey } from '../../plan/members.ts'
import type { Members, ServerResource, VirtualResource } from '../../plan/members.ts'
import type { Resources } from '../../plan/resources.ts'

/** One server of a virtual server, with ToolHive's fields. */
export interface DiscoveredBackend {
  /** With its namespace where that is another one. */
  readonly name: string
  readonly url: string
  readonly status: 'ready' | 'unavailable' | 'unknown'
  readonly authConfigRef?: string
  readonly mcpRevision?: string
  readonly tools?: number
  readonly message?: string
  /** RFC 3339. */
  readonly lastHealthCheck?: string
}

export type VirtualStatus = {
  readonly phase: 'Pending' | 'Ready' | 'Degraded' | 'Failed'
  readonly message?: string
  readonly conditions: readonly Condition[]
  /** Those that answer. */
  readonly backendCount: number
  readonly discoveredBackends: readonly DiscoveredBackend[]
}

export function virtualStatus(
  virtual: VirtualResource,
  resources: Resources,
  health: HealthMap,
  secrets: SecretKeys | undefined,
): VirtualStatus {
  const found = members(virtual, resources)
  const backends = found.servers.map((server) => describe(server, virtual, health.get(serverKey(server))))
  const referred = checkReferences(virtual, resources, secrets)
  const checks = [...referred, incomingAuth(virtual, referred), ...memberConditions(virtual, found)]
  const [phase, reason, message] = judge(checks, backends)
  const status = phase === 'Ready' || phase === 'Degraded' ? 'True' : 'False'
  return {
    phase,
    ...(phase !== 'Ready' && { message }),
    conditions: [condition('Ready', status, reason, message), ...checks],
    backendCount: backends.filter(({ status }) => status === 'ready').length,
    discoveredBackends: backends,
  }
}

function describe(server: ServerResource, virtual: VirtualResource, seen: Health | undefined): DiscoveredBackend {
  const { namespace, name } = server.metadata
  const auth = server.spec.externalAuthConfigRef?.name
  return {
    name: namespace === virtual.metadata.namespace ? name : `${namespace}/${name}`,
    url: serverUrl(server),
    status: seen?.state === 'ok' ? 'ready' : seen?.state === 'failed' ? 'unavailable' : 'unknown',
    ...(auth !== undefined && { authConfigRef: auth }),
    ...(seen?.revision !== undefined && { mcpRevision: seen.revision }),
    ...(seen?.tools !== undefined && { tools: seen.tools }),
    ...(seen?.message !== undefined && { message: seen.message }),
    ...(seen?.at !== undefined && { lastHealthCheck: new Date(seen.at).toISOString() }),
  }
}

function incomingAuth(virtual: VirtualResource, referred: readonly Condition[]): Condition {
  const type = 'AuthConfigured'
  const auth = virtual.spec.incomingAuth
  const [unenforced] = auth === undefined ? [] : checkAuthorization(auth)
  const wrong =
    unenforced ?? referred.find(({ type, status }) => type === 'OIDCConfigRefValidated' && status === 'False')
  if (wrong !== undefined) return condition(type, 'False', 'IncomingAuthInvalid', wrong.message)
  if (auth === undefined)
    return condition(type, 'True', 'IncomingAuthValid', 'callers log in at the default issuer of the edge')
  if (auth.type === 'anonymous')
    return condition(type, 'True', 'IncomingAuthValid', 'anyone may call: incomingAuth.type is anonymous')
  return condition(
    type,
    'True',
    'IncomingAuthValid',
    `callers log in by MCPOIDCConfig ${auth.oidcConfigRef?.name ?? ''}`,
  )
}

function memberConditions(virtual: VirtualResource, { servers, missing, denied }: Members): Condition[] {
  const type = 'BackendsDiscovered'
  const { namespace } = virtual.metadata
  const conditions: Condition[] = []
  if (missing.length > 0) {
    const named = missing.slice(0, 20).join(', ')
    const message = `no server is named ${named}; apply an MCPRemoteProxy or MCPServerEntry of that name, or let a cluster publish it`
    conditions.push(condition(type, 'False', 'BackendsNotFound', message))
  } else if (servers.length === 0 && denied.length === 0) {
    const message = 'the virtual server has no backends: list them in spec.backends, or let servers join its groupRef'
    conditions.push(condition(type, 'False', 'NoBackends', message))
  } else conditions.push(condition(type, 'True', 'BackendsDiscovered', `${servers.length} found`))
  if (denied.length > 0) {
    const named = denied.slice(0, 20).map(serverKey).join(', ')
    const message = `the owner of ${named} has not agreed: annotate it with ${consentAnnotation}: "${namespace}"`
    conditions.push(condition('BackendsAllowed', 'False', 'ConsentMissing', message))
  }
  return conditions
}

function judge(
  checks: readonly Condition[],
  backends: readonly DiscoveredBackend[],
): readonly [phase: VirtualStatus['phase'], reason: string, message: string] {
  const auth = checks.find(({ type, status }) => type === 'AuthConfigured' && status === 'False')
  if (auth !== undefined) return ['Failed', 'IncomingAuthInvalid', auth.message]
  const wrong = checks.find(({ status }) => status === 'False')
  const of = (status: DiscoveredBackend['status']) => backends.filter((backend) => backend.status === status)
  const failed = of('unavailable')
  if (backends.length === 0) return ['Pending', 'BackendsUnavailable', wrong?.message ?? 'no backends']
  if (failed.length === backends.length)
    return ['Failed', 'BackendsUnavailable', `no backend answers: ${names(failed)}`]
  if (of('ready').length === 0) return ['Pending', 'BackendsUnknown', `not reached yet: ${names(of('unknown'))}`]
  if (wrong !== undefined) return ['Degraded', 'BackendsDegraded', wrong.message]
  if (failed.length > 0) return ['Degraded', 'BackendsDegraded', `does not answer: ${names(failed)}`]
  return ['Ready', 'Running', `${of('ready').length} of ${backends.length} backends answer`]
}

function names(backends: readonly DiscoveredBackend[]): string {
  const shown = backends.slice(0, 20).map(({ name }) => name)
  return shown.join(', ')
}
