// The objects of an endpoint without pods behind it: who its proxies are, what they run, who may reach them.

import type { EndpointResource } from '../../../plan/address.ts'
import { INTERNAL_PORT } from '../../../plan/address.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { RunConfig } from '../../run-config.ts'
import { proxyAccess } from '../access.ts'
import { runConfigMap } from '../config-map.ts'
import type { ConditionDraft, KeyDraft, World } from '../kind.ts'
import { nameProblem } from '../label.ts'
import { proxyPolicy } from '../network.ts'
import { proxyObjects, pullSecretsOf, type ProxyDraft } from '../proxy.ts'
import { no, yes } from './condition.ts'
import { isAnonymous, secretsOf } from './endpoint.ts'
import { proxyEnvironment } from './proxy-environment.ts'
import { uplinkNamespace } from './link-trust.ts'
import { workload } from './server-health.ts'
import { keysOf } from './trust.ts'

/** Why the resource cannot do its work. `lasting`: somebody must change something. */
export interface Hindrance {
  readonly reason: string
  readonly message: string
  readonly lasting: boolean
}

export interface Proxied {
  readonly objects: readonly KubeObject[]
  readonly keys: readonly KeyDraft[]
  readonly conditions: readonly ConditionDraft[]
  /** No object can be made of the spec: what runs stays as it is. */
  readonly refused: Hindrance | undefined
}

export type ProxiedDraft = Omit<ProxyDraft, 'kind' | 'namespace' | 'name' | 'current' | 'secrets' | 'keys'>

/**
 * `consented`: other namespaces whose virtual servers use the endpoint. `podCondition`: ToolHive's name for the condition about
 * `spec.podTemplateSpec`. A signing key is made for virtual servers, a common sealing key where several pods share sessions.
 */
export function proxied(
  resource: Exclude<EndpointResource, { kind: 'MCPServer' }>,
  config: RunConfig,
  draft: ProxiedDraft,
  { consented, podCondition }: { readonly consented: readonly string[]; readonly podCondition: string },
  world: World,
): Proxied {
  const { settings } = world
  const { kind } = resource
  const { namespace, name } = resource.metadata
  const problem = problemOf(name, draft)
  if (problem !== undefined) return { objects: [], keys: [], conditions: [], refused: problem }
  const { secrets } = keysOf(world, namespace, name)
  const current = workload(world.object('Deployment', namespace, name)).wanted
  const made = proxyObjects(
    { ...draft, kind, namespace, name, current, secrets: secretsOf(config).mounted, keys: secrets },
    settings,
  )
  const templates = draft.podTemplateSpec === undefined ? [] : [templateCondition(podCondition, made)]
  if (!made.ok) {
    const refused = { reason: 'InvalidPodTemplateSpec', message: made.message, lasting: true }
    return { objects: [], keys: [], conditions: templates, refused }
  }
  const policy = proxyPolicy({
    kind,
    namespace,
    name,
    port: config.port,
    anonymous: isAnonymous(config.endpoint.guard),
    consented,
    metricsNamespaces: settings.metricsNamespaces,
    uplink: uplinkNamespace(resource, settings),
  })
  const imagePullSecrets = pullSecretsOf(draft, settings)
  const keys: KeyDraft[] = []
  if (kind === 'VirtualMCPServer' && secrets.signing === undefined) keys.push({ purpose: 'signing' })
  if (secrets.sealing === undefined && (draft.replicas ?? current) > 1) keys.push({ purpose: 'sealing' })
  return {
    objects: [
      ...proxyAccess({ kind, namespace, name, given: draft.serviceAccount, imagePullSecrets }),
      runConfigMap(config),
      ...(settings.networkPolicies ? [policy] : []),
      ...made.objects,
    ],
    keys,
    conditions: [...templates, ...proxyEnvironment(draft.overrides)],
    refused: undefined,
  }
}

function problemOf(name: string, { port, morePorts = [], alias }: ProxiedDraft): Hindrance | undefined {
  const named = nameProblem(name)
  if (named !== undefined) return { reason: 'InvalidName', message: named, lasting: true }
  if (![port, ...morePorts, alias?.port].includes(INTERNAL_PORT)) return undefined
  const message = `spec.proxyPort must not be ${INTERNAL_PORT}, where the proxy serves its metrics`
  return { reason: 'InvalidPort', message, lasting: true }
}

function templateCondition(type: string, made: ReturnType<typeof proxyObjects>): ConditionDraft {
  return made.ok
    ? yes(type, 'ValidPodTemplateSpec', 'spec.podTemplateSpec is in use')
    : no(type, 'InvalidPodTemplateSpec', made.message)
}
