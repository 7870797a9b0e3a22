// A world for tests, made of manifests as users write them. Bad manifests throw: a test must not pass by an accident of its input.

import { readResource } from '../../../crds/cluster.ts'
import type { Kind } from '../../../crds/kinds.ts'
import { references } from '../../../plan/references.ts'
import { resourceKey, type Resource } from '../../../plan/resources.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { Observed, Plan, Planner, World } from '../kind.ts'
import type { Settings } from '../settings.ts'

export const NAMESPACE = 'platform-tools'

export interface Manifest {
  readonly kind: Kind
  readonly name: string
  readonly namespace?: string
  readonly spec?: object
  readonly annotations?: Readonly<Record<string, string>>
  readonly generation?: number
  readonly deleting?: boolean
  readonly finalizers?: readonly string[]
  readonly status?: Readonly<Record<string, unknown>>
}

export interface Scene {
  readonly manifests: readonly Manifest[]
  readonly objects?: readonly KubeObject[]
  readonly settings?: Partial<Settings>
}

export const settings: Settings = {
  namespace: 'toolhive-system',
  namespaces: undefined,
  cluster: 'in-cluster',
  image: 'waggle/agent:test',
  virtualImage: 'waggle/agent:test',
  imagePullPolicy: 'IfNotPresent',
  imagePullSecrets: [],
  defaultOidcConfig: undefined,
  requireAuthentication: false,
  defaultRedis: undefined,
  egressAllow: [],
  extraCaConfigMap: undefined,
  edge: undefined,
  podTemplateAllow: new Set(),
  networkPolicies: true,
  metricsNamespaces: [],
  podDisruptionBudgets: false,
  topologySpread: false,
  rollOnSecretChange: false,
  openshift: false,
  takeOver: false,
}

export function world(scene: Scene): World {
  const observed = new Map(scene.manifests.map((one) => [keyOf(one), observe(one)]))
  const resources = new Map([...observed].map(([key, { resource }]) => [key, resource]))
  const objects = scene.objects ?? []
  return {
    settings: { ...settings, ...scene.settings },
    now: Date.UTC(2026, 10, 22),
    resources,
    observed: <K extends Kind>(kind: K, namespace: string, name: string) =>
      observed.get(resourceKey(kind, namespace, name)) as Observed<Extract<Resource, { kind: K }>> | undefined,
    object: (kind, namespace, name) =>
      objects.find((one) => one.kind === kind && one.metadata.namespace === namespace && one.metadata.name === name),
    pods: (namespace, labels) =>
      objects.filter(
        ({ kind, metadata }) =>
          kind === 'Pod' &&
          metadata.namespace === namespace &&
          Object.entries(labels).every(([name, value]) => metadata.labels?.[name] === value),
      ),
    referrers: (kind, namespace, name) =>
      [...resources.values()].filter((one) =>
        references(one).some((ref) => ref.kinds.includes(kind) && ref.namespace === namespace && ref.name === name),
      ),
  }
}

/** The plan of the first manifest of the planner's kind, or of the one called `name`. */
export function planned<R extends Resource>(planner: Planner<R>, scene: Scene, name?: string): Plan {
  const here = world(scene)
  const manifest = scene.manifests.find((one) => one.kind === planner.kind && (name ?? one.name) === one.name)
  if (manifest === undefined) throw new Error(`the scene has no ${planner.kind} ${name ?? ''}`)
  return planner.plan(observe(manifest) as Observed<R>, here)
}

/** The status that the operator would write. */
export function statusOf(plan: Plan, generation = 1): Record<string, unknown> {
  return { ...plan.status, observedGeneration: generation, conditions: plan.conditions }
}

/** `type` → `status reason` of a plan's conditions, which is what most tests are about. */
export function verdicts({ conditions }: Pick<Plan, 'conditions'>): Record<string, string> {
  return Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]))
}

export function message(plan: Pick<Plan, 'conditions'>, type: string): string {
  return plan.conditions.find((one) => one.type === type)?.message ?? ''
}

export function objectOf(plan: Pick<Plan, 'objects'>, kind: string, name: string): KubeObject {
  const found = plan.objects.find((one) => one.kind === kind && one.metadata.name === name)
  if (found === undefined) {
    const there = plan.objects.map((one) => `${one.kind} ${one.metadata.name}`).join(', ')
    throw new Error(`the plan has no ${kind} ${name}; it has ${there}`)
  }
  return found
}

/** What is public of a resource's keys, as the operator would have written it. */
export function keysMap(kind: Kind, name: string, data: Record<string, string>, namespace = NAMESPACE): KubeObject {
  const owner = { apiVersion: 'toolhive.stacklok.dev/v1beta1', kind, name, uid: `uid-of-${name}`, controller: true }
  const { metadata, ...rest } = configMap(`${name}-keys`, data, namespace)
  return { ...rest, metadata: { ...metadata, ownerReferences: [owner] } }
}

export function configMap(name: string, data: Record<string, string>, namespace = NAMESPACE): KubeObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data }
}

function observe(manifest: Manifest): Observed {
  const { kind, name, namespace = NAMESPACE, spec = {}, annotations = {}, generation = 1, status = {} } = manifest
  const apiVersion =
    kind === 'ToolPolicy'
      ? 'waggle.dev/v1alpha1'
      : `toolhive.stacklok.dev/${kind === 'MCPWebhookConfig' ? 'v1alpha1' : 'v1beta1'}`
  const reading = readResource({ apiVersion, kind, metadata: { name, namespace, annotations }, spec })
  if (!reading.ok) throw new Error(`${kind} ${name}: ${JSON.stringify(reading.problems)}`)
  return {
    resource: reading.resource,
    uid: `uid-of-${name}`,
    generation,
    deleting: manifest.deleting ?? false,
    finalizers: manifest.finalizers ?? [],
    warnings: reading.warnings,
    status,
  }
}

function keyOf({ kind, namespace = NAMESPACE, name }: Manifest): string {
  return resourceKey(kind, namespace, name)
}
