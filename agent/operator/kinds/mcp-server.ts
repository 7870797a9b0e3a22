// MCPServer: a server in pods of its own behind a proxy that authenticates and audits.
// The server's Secrets go into the server's pods only, and only its proxy can reach them.

import { DEFAULT_PORT, endpointUrl, INTERNAL_PORT } from '../../../plan/address.ts'
import type { Resource } from '../../../plan/resources.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { RunConfig } from '../../run-config.ts'
import { proxyAccess, serverAccess } from '../access.ts'
import { runConfigMap } from '../config-map.ts'
import type { ConditionDraft, Observed, Planner, World } from '../kind.ts'
import { nameProblem } from '../label.ts'
import { proxyPolicy, serverPolicy } from '../network.ts'
import { permission } from '../permission.ts'
import { containerPort, proxyObjects, pullSecretsOf } from '../proxy.ts'
import { secretsVersion, serverObjects } from '../workload.ts'
import { no, plan, stuck, turned, yes } from './condition.ts'
import { foreignSecrets, isAnonymous, runConfigOf, secretsOf, serverAuth } from './endpoint.ts'
import { checkReferences, type References } from './reference.ts'
import { proxyEnvironment } from './proxy-environment.ts'
import { serverChecks } from './server-check.ts'
import { health, workload } from './server-health.ts'
import { uplinkNamespace } from './link-trust.ts'
import { keysOf, memberKeys, usingNamespaces } from './trust.ts'

type Server = Extract<Resource, { kind: 'MCPServer' }>

const RESTARTED_AT = 'mcpserver.toolhive.stacklok.dev/restarted-at'

export const mcpServer: Planner<Server> = {
  kind: 'MCPServer',
  affected: (changed, world) => memberKeys(changed, world, 'MCPServer'),
  plan(observed, world) {
    const { resource } = observed
    // No finalizer is needed: everything has an owner and goes with it.
    if (observed.deleting) {
      const message = 'the server is being deleted'
      return plan({ conditions: [no('Ready', 'Terminating', message)], status: { phase: 'Terminating', message } })
    }
    const config = runConfigOf(resource, world)
    const references = checkReferences(resource, world)
    const auth = serverAuth(config.endpoint.guard, resource.spec.oidcConfigRef, world)
    const { namespace, name } = resource.metadata
    const made = objectsOf(resource, config, world)
    const conditions = [
      ...references.conditions,
      auth,
      ...foreignSecrets(config),
      ...serverChecks(resource, world.settings),
      ...made.conditions,
    ]
    const status = { url: endpointUrl(resource), ...references.hashes }
    const needsSeal = proxyReplicas(resource, world) > 1 && keysOf(world, namespace, name).secrets.sealing === undefined
    const keys = needsSeal ? [{ purpose: 'sealing' as const }] : []
    const state = health(resource, world)
    const hindrance = made.refused ?? refusal(resource, auth, references)
    if (hindrance === undefined) {
      const { phase, message, readyReplicas } = state
      return plan({
        objects: made.objects,
        keys,
        conditions: [...conditions, ...state.conditions],
        status: { ...status, phase, message, readyReplicas },
      })
    }
    const { reason, message, lasting } = hindrance
    const ready = lasting ? stuck(reason, message) : [no('Ready', reason, message)]
    return plan({
      objects: made.objects,
      keep: made.refused !== undefined,
      keys,
      conditions: [...conditions, ...ready],
      status: { ...status, phase: lasting ? 'Failed' : 'Pending', message, readyReplicas: state.readyReplicas },
      events: made.refused === undefined ? [] : refusedEvents(observed, made.conditions, made.refused.reason),
    })
  },
}

interface Hindrance {
  readonly reason: string
  readonly message: string
  readonly lasting: boolean
}

interface Made {
  readonly objects: readonly KubeObject[]
  readonly conditions: readonly ConditionDraft[]
  /** The objects cannot be made as the spec has it: what runs stays as it is. */
  readonly refused: Hindrance | undefined
}

function objectsOf(server: Server, config: RunConfig, world: World): Made {
  const { settings } = world
  const { spec, metadata } = server
  const { namespace, name } = metadata
  const problem = specProblem(server, world)
  if (problem !== undefined) return { objects: [], conditions: [], refused: problem }
  const isStdio = spec.transport === 'stdio'
  const restartedAt = metadata.annotations?.[RESTARTED_AT]
  const pullSecrets = pullSecretsOf({ overrides: spec.resourceOverrides }, settings)
  const { secrets } = keysOf(world, namespace, name)
  const proxy = proxyObjects(
    {
      kind: 'MCPServer',
      namespace,
      name,
      port: spec.proxyPort,
      sessionAffinity: spec.sessionAffinity,
      replicas: isStdio && spec.replicas !== undefined ? Math.min(spec.replicas, 1) : spec.replicas,
      current: workload(world.object('Deployment', namespace, name)).wanted,
      secrets: secretsOf(config).mounted,
      keys: secrets,
      overrides: spec.resourceOverrides,
      restartedAt,
    },
    settings,
  )
  const version = (secret: string): string | undefined =>
    world.object('Secret', namespace, secret)?.metadata.resourceVersion
  const secretsAt = settings.rollOnSecretChange ? secretsVersion(server, version) : undefined
  const existing = world.object('StatefulSet', namespace, name)
  const pods = serverObjects(server, settings, existing, { restartedAt, secrets: secretsAt })
  const template = pods.ok ? proxy : pods
  const templates =
    spec.podTemplateSpec === undefined
      ? []
      : [
          template.ok
            ? yes('PodTemplateValid', 'ValidPodTemplateSpec', 'spec.podTemplateSpec is in use')
            : no('PodTemplateValid', 'InvalidPodTemplateSpec', template.message),
        ]
  if (!pods.ok || !proxy.ok) {
    const message = template.ok ? '' : template.message
    return { objects: [], conditions: templates, refused: { reason: 'InvalidPodTemplateSpec', message, lasting: true } }
  }
  const allowed = permission(spec.permissionProfile, (map) => world.object('ConfigMap', namespace, map)?.data)
  const policies = settings.networkPolicies
    ? [
        serverPolicy({
          namespace,
          name,
          selector: pods.selector,
          port: isStdio ? undefined : (spec.mcpPort ?? DEFAULT_PORT),
          egress: allowed.egress,
        }),
        proxyPolicy({
          kind: 'MCPServer',
          namespace,
          name,
          port: containerPort(spec.proxyPort),
          anonymous: isAnonymous(config.endpoint.guard),
          consented: usingNamespaces(server, world),
          metricsNamespaces: settings.metricsNamespaces,
          uplink: uplinkNamespace(server, settings),
        }),
      ]
    : []
  return {
    objects: [
      ...proxyAccess({ kind: 'MCPServer', namespace, name, imagePullSecrets: pullSecrets }),
      ...(spec.serviceAccount === undefined ? [serverAccess(namespace, name, pullSecrets)] : []),
      runConfigMap(config),
      ...policies,
      ...pods.objects,
      ...proxy.objects,
    ],
    conditions: [
      ...templates,
      ...proxyEnvironment(spec.resourceOverrides),
      ...(allowed.condition === undefined ? [] : [allowed.condition]),
    ],
    refused: undefined,
  }
}

/** What no object can be made of. */
function specProblem({ metadata, spec }: Server, { settings }: World): Hindrance | undefined {
  const name = nameProblem(metadata.name)
  if (name !== undefined) return { reason: 'InvalidName', message: name, lasting: true }
  if (spec.proxyPort === INTERNAL_PORT) {
    const message = `spec.proxyPort must not be ${INTERNAL_PORT}, where the proxy serves its metrics`
    return { reason: 'InvalidPort', message, lasting: true }
  }
  if (spec.volumes !== undefined && spec.volumes.length > 0 && !settings.podTemplateAllow.has('hostPath')) {
    const message =
      "spec.volumes mounts directories of the node, which the cluster's admin has not allowed (hostPath in operator.podTemplate.allow)"
    return { reason: 'HostPathNotAllowed', message, lasting: true }
  }
  return undefined
}

/** Why calls are refused although everything could be made. */
function refusal({ spec }: Server, auth: ConditionDraft, { broken, stalled }: References): Hindrance | undefined {
  if (broken !== undefined) return { reason: broken.reason, message: broken.message, lasting: stalled }
  if (auth.status === 'False' && auth.reason !== 'Anonymous')
    return { reason: auth.reason, message: auth.message, lasting: true }
  if (spec.transport !== 'streamable-http') {
    const message = `transport ${spec.transport} is not served yet: calls are refused`
    return { reason: 'TransportNotServed', message, lasting: true }
  }
  return undefined
}

function refusedEvents(observed: Observed, conditions: readonly ConditionDraft[], reason: string) {
  const condition = conditions.find((one) => one.reason === reason)
  return condition === undefined ? [] : turned(observed, condition, 'Warning')
}

/** How many proxies run or shall run. */
function proxyReplicas({ metadata, spec }: Server, world: World): number {
  return spec.replicas ?? workload(world.object('Deployment', metadata.namespace, metadata.name)).wanted
}
