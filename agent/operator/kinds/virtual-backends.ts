// The servers behind a virtual server as the operator sees them: who they are, how they are, and who is missing or has not agreed.

import { consentAnnotation, members, type ServerResource, type VirtualResource } from '../../../plan/members.ts'
import type { Credential } from '../../../plan/server.ts'
import type { RunConfig } from '../../run-config.ts'
import type { ConditionDraft, World } from '../kind.ts'
import { lastCondition, no, some, yes } from './condition.ts'
import { foreignSecrets } from './endpoint.ts'

/** One entry of `.status.discoveredBackends`. Nothing in it changes while nothing happens. */
export interface Backend {
  /** With its namespace where that is another one. */
  readonly name: string
  readonly url: string
  readonly status: 'ready' | 'unavailable' | 'unknown'
  readonly authType: string
  readonly authConfigRef?: string
  readonly message?: string
}

export interface Backends {
  readonly list: readonly Backend[]
  readonly conditions: readonly ConditionDraft[]
  /** Nothing that waiting would change: every server needs somebody who acts. */
  readonly stalled: boolean
}

/** Conditions are bounded; so many servers are named by themselves. */
const MOST_NAMED = 16

export function backendsOf(virtual: VirtualResource, config: RunConfig, world: World): Backends {
  const { servers, missing, denied } = members(virtual, world.resources)
  const { namespace } = virtual.metadata
  const nameOf = ({ metadata }: ServerResource): string =>
    metadata.namespace === namespace ? metadata.name : `${metadata.namespace}/${metadata.name}`
  const credentials = new Map(config.endpoint.members.map((member) => [member.server, member.credential]))
  const urls = new Map(config.servers.map((one) => [one.key, one.url]))
  const states = servers.map((server) => ({ server, ...stateOf(server, world) }))
  const list = states.map(({ server, status, message }): Backend => {
    const key = `${server.metadata.namespace}/${server.metadata.name}`
    const auth = server.kind === 'MCPServerEntry' ? server.spec.externalAuthConfigRef?.name : undefined
    return {
      name: nameOf(server),
      url: urls.get(key) ?? '',
      status,
      authType: authType(credentials.get(key)),
      ...(auth !== undefined && { authConfigRef: auth }),
      ...(message !== undefined && { message }),
    }
  })
  return {
    list,
    conditions: [
      discovered(servers.length, missing, denied.length),
      ...(denied.length === 0 ? [] : [consentMissing(denied.map(nameOf), namespace)]),
      ...refused(config),
      ...foreignSecrets(config),
    ],
    stalled: states.length > 0 && states.every((state) => state.stalled),
  }
}

function stateOf(
  { kind, metadata }: ServerResource,
  world: World,
): { readonly status: Backend['status']; readonly message: string | undefined; readonly stalled: boolean } {
  const observed = world.observed(kind, metadata.namespace, metadata.name)
  if (observed === undefined) return { status: 'unknown', message: undefined, stalled: false }
  const ready = lastCondition(observed, 'Ready')
  const stalled = lastCondition(observed, 'Stalled')?.status === 'True'
  if (ready === undefined) return { status: 'unknown', message: 'not looked at yet', stalled: false }
  if (ready.status === 'True' && ready.reason !== 'Stopped')
    return { status: 'ready', message: undefined, stalled: false }
  return { status: 'unavailable', message: ready.reason, stalled }
}

/** ToolHive's words where it has one. */
function authType(credential: Credential | undefined): string {
  switch (credential?.kind) {
    case 'assertion':
      return 'assertion'
    case 'header':
      return 'header_injection'
    case 'none':
      return 'unauthenticated'
    case 'refused':
    case undefined:
      return 'unavailable'
  }
}

function discovered(found: number, missing: readonly string[], denied: number): ConditionDraft {
  const type = 'BackendsDiscovered'
  if (missing.length > 0) {
    const message = `no MCPServer, MCPRemoteProxy or MCPServerEntry is named ${some(missing)}`
    return no(type, 'BackendsNotFound', message)
  }
  if (found === 0 && denied === 0)
    return no(
      type,
      'NoBackends',
      'there are no servers: list them in spec.backends, or let servers join spec.groupRef by their own groupRef',
    )
  return yes(type, 'BackendsDiscovered', `servers: ${found}`)
}

function consentMissing(denied: readonly string[], namespace: string): ConditionDraft {
  const message = `the owner of ${some(denied)} has not agreed: annotate it with ${consentAnnotation}: "${namespace}"`
  return no('BackendsAllowed', 'ConsentMissing', message)
}

/** Servers that cannot be authenticated to, and so are not called. */
function refused({ endpoint }: RunConfig): ConditionDraft[] {
  return endpoint.members
    .flatMap(({ workload, credential }) =>
      credential.kind === 'refused'
        ? [no(`DiscoveredAuthConfig-${workload}`, 'ConversionFailed', credential.message)]
        : [],
    )
    .slice(0, MOST_NAMED)
}
