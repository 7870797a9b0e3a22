// The article's VirtualMCPServer with its three servers in a world of its own, and what its plan tells its pods.

import type { KubeObject } from '../../kube/object.ts'
import type { RunConfig } from '../../run-config.ts'
import type { Plan } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { keysMap, NAMESPACE, objectOf, planned, type Manifest } from './scene.ts'
import { virtualServer } from './virtual-mcp-server.ts'

export const NAME = 'platform-tools-vmcp'
export const is = (type: string, status: 'True' | 'False', reason: string) => ({
  type,
  status,
  reason,
  message: reason,
})
export const running = { conditions: [is('Ready', 'True', 'Running')] }
export const starting = { conditions: [is('Ready', 'False', 'Starting')] }
export const stalled = { conditions: [is('Ready', 'False', 'InvalidName'), is('Stalled', 'True', 'InvalidName')] }

export const server = (name: string, status: Manifest['status'] = running, more: Partial<Manifest> = {}): Manifest => ({
  kind: 'MCPServer',
  name,
  spec: { image: 'grafana/mcp-grafana:latest', transport: 'streamable-http', mcpPort: 8000, proxyPort: 8080 },
  status,
  ...more,
})
export const remote = (name: string, status: Manifest['status'] = running): Manifest => ({
  kind: 'MCPRemoteProxy',
  name,
  spec: { url: 'https://mcp.linear.app/mcp', proxyPort: 8080 },
  status,
})
/** As the article prints it. */
export const virtual = (spec: object = {}, more: Partial<Manifest> = {}): Manifest => ({
  kind: 'VirtualMCPServer',
  name: NAME,
  spec: {
    backends: ['grafana', 'github', 'linear'].map((name) => ({ name, namespace: NAMESPACE })),
    proxyPort: 9090,
    ...spec,
  },
  ...more,
})
export const fleet = [server('grafana'), server('github'), remote('linear')]
export const deployment: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: NAME, namespace: NAMESPACE, generation: 1 },
  spec: { replicas: 1 },
  status: { observedGeneration: 1, readyReplicas: 1, updatedReplicas: 1, replicas: 1 },
}
const jwk = { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid: 'k1', alg: 'ES256', use: 'sig' }
export const keys = keysMap('VirtualMCPServer', NAME, {
  'signing.json': JSON.stringify({ keys: [jwk] }),
  'secrets.json': JSON.stringify({ signing: `${NAME}-signing-abc` }),
})
export const runConfig = (plan: Plan): RunConfig =>
  JSON.parse(objectOf(plan, 'ConfigMap', `${NAME}-vmcp-config`).data?.['runconfig.json'] ?? '') as RunConfig

export interface Case {
  readonly spec?: object
  readonly others?: readonly Manifest[]
  readonly objects?: readonly KubeObject[]
  readonly settings?: Partial<Settings>
}
export const plans = ({ spec, others = fleet, objects = [deployment, keys], settings = {} }: Case = {}): Plan =>
  planned(virtualServer, { manifests: [virtual(spec), ...others], objects, settings })
