// Taking over a cluster from ToolHive's operator: its objects become ours, its server pods run on, and nothing of it is left in what
// is changed later. Two operators at once: ours waits.
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import type { KubeObject } from '../../agent/kube/object.ts'
import { until } from './bed/shell.ts'
import { pods, readyPod } from './pods.ts'
import { installCrds, installOperator, SYSTEM } from './release.ts'
import { sharedCluster, type Shared } from './shared.ts'

const NS = 'takeover'
let shared: Shared

const json = (...args: readonly string[]): KubeObject =>
  JSON.parse(shared.kubectl([...args, '-o', 'json'])) as KubeObject
const apply = (object: object, manager: string): string =>
  shared.kubectl(['apply', '--server-side', `--field-manager=${manager}`, '-f', '-'], JSON.stringify(object))

const server = (image: string): object => ({
  apiVersion: 'toolhive.stacklok.dev/v1beta1',
  kind: 'MCPServer',
  metadata: { name: 'old', namespace: NS },
  spec: { image, transport: 'streamable-http', mcpPort: 8000 },
})

const labels = { app: 'old', toolhive: 'true', 'toolhive-name': 'old' }

before(async () => {
  shared = await sharedCluster()
  await shared.namespace(NS)
  installCrds(shared)
  await installOperator(shared, { operator: { takeOver: true } })
  // The resource first exists while nobody looks after it, as ToolHive left it.
  shared.kubectl(['-n', SYSTEM, 'scale', 'deployment/waggle-agent', '--replicas=0'])
  shared.kubectl([
    '-n',
    SYSTEM,
    'wait',
    '--for=delete',
    'pod',
    '-l',
    'app.kubernetes.io/name=waggle-agent',
    '--timeout=180s',
  ])
  apply(server('grafana/mcp-grafana:latest'), 'user')
  const { metadata } = json('-n', NS, 'get', 'mcpserver', 'old')
  const owner = { apiVersion: 'toolhive.stacklok.dev/v1beta1', kind: 'MCPServer', name: 'old', uid: metadata.uid }
  const security = {
    allowPrivilegeEscalation: false,
    runAsNonRoot: true,
    runAsUser: 1000,
    capabilities: { drop: ['ALL'] },
  }
  const container = {
    name: 'mcp',
    image: 'grafana/mcp-grafana:latest',
    env: [
      { name: 'MCP_TRANSPORT', value: 'streamable-http' },
      { name: 'MCP_PORT', value: '8000' },
      { name: 'LEFT_OVER', value: '1' },
    ],
    securityContext: security,
  }
  apply(
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name: 'old', namespace: NS, labels, ownerReferences: [{ ...owner, controller: true }] },
      spec: {
        serviceName: 'old',
        selector: { matchLabels: { app: 'old' } },
        template: { metadata: { labels }, spec: { containers: [container] } },
      },
    },
    'toolhive-container-manager',
  )
  const set = json('-n', NS, 'get', 'statefulset', 'old')
  const setOwner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'old', uid: set.metadata.uid, controller: true }
  apply(
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'mcp-old', namespace: NS, labels, ownerReferences: [setOwner] },
      spec: { selector: { app: 'old' }, ports: [{ name: 'port-8000', port: 8000, targetPort: 8000, protocol: 'TCP' }] },
    },
    'toolhive-container-manager',
  )
  await readyPod(shared.cluster, NS, 'app=old')
})

test('the server becomes ours and its pod runs on', async () => {
  const before = json('-n', NS, 'get', 'pod', 'old-0').metadata.uid
  shared.kubectl(['-n', SYSTEM, 'scale', 'deployment/waggle-agent', '--replicas=1'])
  shared.kubectl(['-n', NS, 'wait', '--for=condition=Ready', 'mcpserver/old', '--timeout=240s'])
  const { uid } = json('-n', NS, 'get', 'mcpserver', 'old').metadata
  const service = json('-n', NS, 'get', 'service', 'mcp-old')
  assert.deepEqual(
    service.metadata.ownerReferences?.map((one) => [one.kind, one.uid]),
    [['MCPServer', uid]],
  )
  assert.equal(json('-n', NS, 'get', 'pod', 'old-0').metadata.uid, before)
})

test('a changed spec gives a new pod, with nothing of ToolHive’s in it', async () => {
  const before = json('-n', NS, 'get', 'pod', 'old-0').metadata.uid
  apply(server('grafana/mcp-grafana:latest'), 'user')
  shared.kubectl([
    '-n',
    NS,
    'patch',
    'mcpserver',
    'old',
    '--type=merge',
    '-p',
    '{"spec":{"env":[{"name":"NEW","value":"1"}]}}',
  ])
  const pod = await until('a new pod', () => {
    const found = json('-n', NS, 'get', 'pod', 'old-0')
    return found.metadata.uid !== before && found
  })
  const { containers } = pod.spec as { containers: { env: { name: string }[] }[] }
  const names = containers[0]?.env.map(({ name }) => name) ?? []
  assert.ok(names.includes('NEW'))
  assert.ok(!names.includes('LEFT_OVER'), names.join())
})

test('beside a running operator of ToolHive’s ours waits, unready, and starts once that is gone', async () => {
  const theirs = { 'app.kubernetes.io/name': 'toolhive-operator' }
  const container = { name: 'manager', image: 'ghcr.io/stacklok/toolhive/operator:v0.44.0' }
  const deployment = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'toolhive-operator', namespace: NS, labels: theirs },
    spec: {
      selector: { matchLabels: theirs },
      template: { metadata: { labels: theirs }, spec: { containers: [container] } },
    },
  }
  apply(deployment, 'user')
  shared.kubectl(['-n', SYSTEM, 'set', 'env', 'deployment/waggle-agent', 'WAGGLE_TAKE_OVER=false'])
  const waiting = await until('a new operator that says why it waits', async () => {
    for (const { metadata, status } of await pods(shared.cluster, SYSTEM, 'app.kubernetes.io/component=operator')) {
      const name = metadata?.name ?? ''
      const said = shared.kubectl(['-n', SYSTEM, 'logs', name])
      if (said.includes(`${NS}/toolhive-operator: not started beside a ToolHive operator`))
        return { name, ready: status?.containerStatuses?.[0]?.ready, said }
    }
    return undefined
  })
  assert.equal(waiting.ready, false)
  assert.doesNotMatch(waiting.said, /"(watching|leading)"/)
  shared.kubectl(['-n', NS, 'scale', 'deployment/toolhive-operator', '--replicas=0'])
  await until('it to lead', () => shared.kubectl(['-n', SYSTEM, 'logs', waiting.name]).includes('"leading"'), 240)
})
