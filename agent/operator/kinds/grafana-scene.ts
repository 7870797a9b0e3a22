// The article's MCPServer in a world of its own, and what its plan makes of the two programs: the server and its proxy.

import assert from 'node:assert/strict'
import type { KubeObject } from '../../kube/object.ts'
import type { RunConfig } from '../../run-config.ts'
import type { Plan } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { mcpServer } from './mcp-server.ts'
import { NAMESPACE, objectOf, planned, type Manifest } from './scene.ts'

/** As the article prints it. */
export const printed = {
  image: 'grafana/mcp-grafana:latest',
  transport: 'streamable-http',
  mcpPort: 8000,
  proxyPort: 8080,
  env: [{ name: 'GRAFANA_URL', value: 'https://your-grafana.internal' }],
  secrets: [{ name: 'grafana-token', key: 'token', targetEnvName: 'GRAFANA_SERVICE_ACCOUNT_TOKEN' }],
  resources: { limits: { cpu: '200m', memory: '256Mi' }, requests: { cpu: '50m', memory: '128Mi' } },
}

export const grafana = (spec: object = {}, more: Partial<Manifest> = {}): Manifest => ({
  kind: 'MCPServer',
  name: 'grafana',
  spec: { ...printed, ...spec },
  ...more,
})

interface Around {
  readonly others?: readonly Manifest[]
  readonly objects?: readonly KubeObject[]
  readonly settings?: Partial<Settings>
  readonly more?: Partial<Manifest>
}

export const plans = (spec: object = {}, { others = [], objects = [], settings = {}, more = {} }: Around = {}): Plan =>
  planned(mcpServer, { manifests: [grafana(spec, more), ...others], objects, settings })

interface PodSpec {
  readonly containers: readonly Readonly<Record<string, unknown>>[]
  readonly [field: string]: unknown
}
interface Template {
  readonly metadata: { readonly labels: Record<string, string>; readonly annotations?: Record<string, string> }
  readonly spec: PodSpec
}

export const specOf = (object: KubeObject): Readonly<Record<string, unknown>> => object.spec as Record<string, unknown>
const template = (object: KubeObject): Template => specOf(object)['template'] as Template
export const server = (plan: Plan): Template => template(objectOf(plan, 'StatefulSet', 'grafana'))
export const proxy = (plan: Plan): Template => template(objectOf(plan, 'Deployment', 'grafana'))

export const container = ({ spec }: Template): Readonly<Record<string, unknown>> => {
  const [first] = spec.containers
  assert.ok(first)
  return first
}

export const variables = (one: Template): Record<string, unknown> =>
  Object.fromEntries(
    (container(one)['env'] as { name: string; value?: string; valueFrom?: unknown }[]).map((variable) => [
      variable.name,
      variable.value ?? variable.valueFrom,
    ]),
  )

export const runConfig = (plan: Plan): RunConfig =>
  JSON.parse(objectOf(plan, 'ConfigMap', 'grafana-runconfig').data?.['runconfig.json'] ?? '') as RunConfig

export const workload = (kind: 'Deployment' | 'StatefulSet', status: object, replicas = 1): KubeObject => ({
  apiVersion: 'apps/v1',
  kind,
  metadata: { name: 'grafana', namespace: NAMESPACE, generation: 1 },
  spec: { replicas, template: { metadata: { labels: { 'waggle.dev/role': 'server' } } } },
  status: { observedGeneration: 1, ...status },
})

export const serving = { readyReplicas: 1, updatedReplicas: 1, replicas: 1 }
export const running = [workload('Deployment', serving), workload('StatefulSet', serving)]
