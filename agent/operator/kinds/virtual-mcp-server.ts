// VirtualMCPServer: one endpoint for many servers. It asserts its callers to the servers' proxies with a key of its own, which the
// operator makes once; those proxies trust the key because the operator writes it into their configs (see trust.ts).

import { endpointUrl, VIRTUAL_PORT } from '../../../plan/address.ts'
import type { VirtualResource } from '../../../plan/members.ts'
import { resourceKey, type Resource } from '../../../plan/resources.ts'
import type { ConditionDraft, Planner, World } from '../kind.ts'
import { names } from '../label.ts'
import { no, plan, stuck, turned, yes } from './condition.ts'
import { runConfigOf } from './endpoint.ts'
import { proxied, type Hindrance } from './proxied.ts'
import { proxyHealth, type ProxyHealth } from './proxy-health.ts'
import { checkReferences, type References } from './reference.ts'
import { sessionStorage } from './session-storage.ts'
import { keysOf } from './trust.ts'
import { backendsOf, type Backends } from './virtual-backends.ts'
import { incomingAuth, virtualChecks } from './virtual-check.ts'

export const virtualServer: Planner<VirtualResource> = {
  kind: 'VirtualMCPServer',
  affected: groupUsers,
  plan(observed, world) {
    const { resource, deleting } = observed
    const { spec, metadata } = resource
    // No finalizer is needed: everything has an owner and goes with it.
    if (deleting) {
      const message = 'the virtual server is being deleted'
      return plan({ conditions: [no('Ready', 'Terminating', message)], status: { phase: 'Pending', message } })
    }
    const config = runConfigOf(resource, world)
    const { proxyPort } = spec
    const made = proxied(
      resource,
      config,
      {
        port: VIRTUAL_PORT,
        morePorts: proxyPort === undefined ? [] : [proxyPort],
        alias: { name: names.alias(metadata.name), port: proxyPort ?? VIRTUAL_PORT },
        serviceType: spec.serviceType,
        sessionAffinity: spec.sessionAffinity ?? 'ClientIP',
        replicas: spec.replicas,
        serviceAccount: spec.serviceAccount,
        overrides: { proxyDeployment: { imagePullSecrets: spec.imagePullSecrets } },
        podTemplateSpec: spec.podTemplateSpec,
      },
      { consented: [], podCondition: 'PodTemplateSpecValid' },
      world,
    )
    const references = checkReferences(resource, world)
    const auth = incomingAuth(resource, config.endpoint.guard, world)
    const backends = backendsOf(resource, config, world)
    const conditions = [
      auth,
      ...references.conditions,
      ...backends.conditions,
      signingKey(resource, world),
      ...virtualChecks(resource, world),
      sessionStorage(spec.replicas, spec.sessionStorage, world.settings),
      ...made.conditions,
    ]
    const state = proxyHealth('VirtualMCPServer', metadata, world, 'the virtual server is running')
    const wrong = [...backends.conditions, ...references.conditions].find(
      ({ type, status }) => status === 'False' && type !== 'TelemetryConfigRefValidated',
    )
    const judged = judge(made.refused ?? refusal(auth, references), state, backends, wrong)
    const { oidcConfigHash, authzConfigHash, telemetryConfigHash } = references.hashes
    return plan({
      objects: made.objects,
      keep: made.refused !== undefined,
      keys: made.keys,
      conditions: [...judged.conditions, ...conditions],
      status: {
        phase: judged.phase,
        message: judged.message,
        url: endpointUrl(resource),
        readyReplicas: state.readyReplicas,
        backendCount: backends.list.filter(({ status }) => status === 'ready').length,
        discoveredBackends: backends.list.slice(0, MOST_LISTED),
        ...(oidcConfigHash !== undefined && { oidcConfigHash }),
        ...(authzConfigHash !== undefined && { authzConfigHash }),
        ...(telemetryConfigHash !== undefined && { telemetryConfigHash }),
      },
      events: conditions
        .filter(({ type, status }) => status === 'False' && eventful.has(type))
        .flatMap((one) => turned(observed, one, 'Warning')),
    })
  },
}

/** What the list in the status holds. */
const MOST_LISTED = 1024

const eventful: ReadonlySet<string> = new Set(['BackendsDiscovered', 'BackendsAllowed', 'PodTemplateSpecValid'])

interface Judged {
  readonly phase: 'Pending' | 'Ready' | 'Degraded' | 'Failed'
  readonly message: string
  readonly conditions: readonly ConditionDraft[]
}

/** How it is, all in all: whether it may serve, whether its pods do, and whether there is anybody behind them. */
function judge(
  hindrance: Hindrance | undefined,
  state: ProxyHealth,
  backends: Backends,
  wrong: ConditionDraft | undefined,
): Judged {
  if (hindrance !== undefined) {
    const { reason, message, lasting } = hindrance
    return {
      phase: lasting ? 'Failed' : 'Pending',
      message,
      conditions: lasting ? stuck(reason, message) : [no('Ready', reason, message)],
    }
  }
  if (state.phase !== 'Ready') return state
  const { list } = backends
  const away = list.filter(({ status }) => status !== 'ready')
  const rolling = state.conditions.filter(({ type }) => type === 'Reconciling')
  if (away.length === list.length) {
    const reason = 'BackendsUnavailable'
    const message =
      list.length === 0 ? (wrong?.message ?? 'there are no servers') : `no server is ready: ${named(away)}`
    return backends.stalled
      ? { phase: 'Failed', message, conditions: stuck(reason, message) }
      : { phase: 'Pending', message, conditions: [no('Ready', reason, message)] }
  }
  const count = `${list.length - away.length} of ${list.length} servers are ready`
  if (wrong !== undefined || away.length > 0) {
    const message = [
      count,
      ...(away.length > 0 ? [`not ready: ${named(away)}`] : []),
      ...(wrong === undefined ? [] : [wrong.message]),
    ]
    const text = message.join('; ')
    return { phase: 'Degraded', message: text, conditions: [yes('Ready', 'BackendsDegraded', text), ...rolling] }
  }
  return { phase: 'Ready', message: count, conditions: [yes('Ready', 'Running', count), ...rolling] }
}

function named(backends: Backends['list']): string {
  const shown = backends
    .slice(0, 16)
    .map(({ name, message }) => (message === undefined ? name : `${name} (${message})`))
  return `${shown.join(', ')}${backends.length > 16 ? ` and ${backends.length - 16} more` : ''}`
}

/** Why callers are refused although everything could be made. */
function refusal(auth: ConditionDraft, { broken, stalled }: References): Hindrance | undefined {
  if (broken !== undefined) return { reason: broken.reason, message: broken.message, lasting: stalled }
  if (auth.status === 'False' && auth.reason !== 'Anonymous')
    return { reason: auth.reason, message: auth.message, lasting: true }
  return undefined
}

/** Servers follow this condition: when it turns, their trust lists are written again. */
function signingKey({ metadata }: VirtualResource, world: World): ConditionDraft {
  const [key] = keysOf(world, metadata.namespace, metadata.name).jwks.keys
  return key === undefined
    ? no('SigningKeyReady', 'KeyMissing', 'the key by which servers know this virtual server is being made')
    : yes('SigningKeyReady', 'KeyPublished', `servers know this virtual server by the key ${key.kid ?? ''}`)
}

/** The virtual servers of a group that a changed server is in, or that the target of a changed policy is in. */
function groupUsers(changed: Resource, world: World): string[] {
  if (changed.kind === 'ToolPolicy') {
    const { kind, name } = changed.spec.targetRef
    const target = world.resources.get(resourceKey(kind, changed.metadata.namespace, name))
    return target === undefined || target.kind === 'ToolPolicy' ? [] : groupUsers(target, world)
  }
  if (changed.kind !== 'MCPServer' && changed.kind !== 'MCPRemoteProxy' && changed.kind !== 'MCPServerEntry') return []
  const group = changed.spec.groupRef
  if (group === undefined) return []
  const { namespace } = changed.metadata
  return world
    .referrers('MCPGroup', namespace, group.name)
    .filter(({ kind }) => kind === 'VirtualMCPServer')
    .map(({ metadata }) => resourceKey('VirtualMCPServer', metadata.namespace, metadata.name))
}
