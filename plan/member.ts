// One server behind an endpoint: with which credential it is called, which of its tools pass under which names, and whom rules admit.

import { milliseconds } from '../crds/duration.ts'
import type { BreakerSettings } from '../gateway/backend/breaker.ts'
import type { Override } from '../gateway/catalog/catalog.ts'
import type { Rule } from '../gateway/policy.ts'
import { fleetOf, type FleetPlan } from './instance.ts'
import { serverKey, type ServerResource, type VirtualResource } from './members.ts'
import type { Resources } from './resources.ts'
import { memberRules } from './rules.ts'
import { memberCredential, type Credential } from './server.ts'
import { identity, type Site } from './site.ts'
import { respelled, toolConfig } from './tool-config.ts'

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

const CALL_TIMEOUT_MS = 60_000
const BREAKER: BreakerSettings = { threshold: 5, openMs: 15_000 }
/** Of instances in clusters, which replace within seconds what dies. */
const LINKED: BreakerSettings = { threshold: 5, openMs: 2_000 }

/** A server as a member: of a virtual server, or of its own endpoint. */
export function planMember(
  server: ServerResource,
  resources: Resources,
  site: Site,
  virtual?: VirtualResource,
): MemberPlan {
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

function timeout(workload: string, virtual: VirtualResource | undefined): number {
  const annotated = virtual?.metadata.annotations?.['waggle.dev/call-timeout']
  const timeouts = virtual?.spec.config.operational?.timeouts
  const text = annotated ?? timeouts?.perWorkload?.[workload] ?? timeouts?.default
  return text === undefined ? CALL_TIMEOUT_MS : (milliseconds(text) ?? CALL_TIMEOUT_MS)
}
