// The server itself: a StatefulSet and the Services in front of it. The names and selectors are ToolHive's.
// Secrets reach the container `mcp` and nothing else. What ToolHive started is taken over as it runs: its pods are changed when the
// resource is, not before.

import { createHash } from 'node:crypto'
import { envName } from '../../crds/mcp-server.ts'
import { DEFAULT_PORT } from '../../plan/address.ts'
import type { Resource } from '../../plan/resources.ts'
import type { KubeObject } from '../kube/object.ts'
import { names, ROLE, serverLabels } from './label.ts'
import { patchTemplate } from './pod-template.ts'
import { disruptionBudget, pullSecretsOf, spread } from './proxy.ts'
import { containerSecurity, podSecurity } from './security.ts'
import type { Settings } from './settings.ts'
import { isTree, type Tree } from './strategic.ts'

type Server = Extract<Resource, { kind: 'MCPServer' }>

export type ServerObjects =
  | { readonly ok: true; readonly objects: KubeObject[]; readonly selector: Record<string, string> }
  | { readonly ok: false; readonly message: string }

/** On a StatefulSet of ToolHive's that keeps its template: which spec it was kept for. */
export const KEPT = 'waggle.dev/kept-for'

/** What gives a server new pods although its spec is the same. */
export interface Renewal {
  /** When somebody asked for it. */
  readonly restartedAt: string | undefined
  /** Changes with the Secrets of the server; undefined where they are not watched. */
  readonly secrets: string | undefined
}

/** On the pods of a server, where its Secrets are watched. */
const SECRETS = 'waggle.dev/secrets'

/** Changes when a Secret of the server is written, made or deleted; `version` gives the version of one. */
export function secretsVersion({ spec }: Server, version: (name: string) => string | undefined): string | undefined {
  const used = [...new Set(spec.secrets?.map(({ name }) => name))].sort()
  return used.length === 0 ? undefined : fingerprint(used.map((name) => [name, version(name) ?? null]))
}

/** `existing` is the StatefulSet as it is. */
export function serverObjects(
  server: Server,
  settings: Settings,
  existing: KubeObject | undefined,
  renewal: Renewal,
): ServerObjects {
  const { namespace, name } = server.metadata
  const { spec } = server
  const patched = patchTemplate(podTemplate(server, settings, renewal), spec.podTemplateSpec, settings.podTemplateAllow)
  if (!patched.ok) return patched
  const labels = serverLabels(name)
  const foreign = existing !== undefined && templateLabels(existing)[ROLE] !== 'server'
  const specHash = fingerprint([spec, renewal.restartedAt])
  const keeps = foreign && (existing.metadata.annotations?.[KEPT] ?? specHash) === specHash
  const selector: Record<string, string> = foreign ? { app: name } : { app: name, [ROLE]: 'server' }
  const replicas =
    spec.transport === 'stdio' && spec.backendReplicas !== undefined
      ? Math.min(spec.backendReplicas, 1)
      : spec.backendReplicas
  const set: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name, namespace, labels, ...(keeps && { annotations: { [KEPT]: specHash } }) },
    spec: {
      ...(replicas !== undefined && { replicas }),
      // By order, a pod that never starts would keep its own correction from being rolled out. It cannot be changed later.
      podManagementPolicy: policyOf(existing) ?? 'Parallel',
      selector: { matchLabels: { app: name } },
      serviceName: name,
      ...(!keeps && { template: patched.template }),
    },
  }
  const objects = [...(spec.transport === 'stdio' ? [] : services(server, selector)), set]
  const current = isTree(existing?.spec) ? existing.spec['replicas'] : undefined
  if (settings.podDisruptionBudgets && Number(replicas ?? current ?? 1) > 1) {
    objects.push(disruptionBudget({ name: `${name}-server`, namespace, labels }, selector))
  }
  return { ok: true, objects, selector }
}

function podTemplate(server: Server, settings: Settings, { restartedAt, secrets }: Renewal): Tree {
  const { spec } = server
  const { name } = server.metadata
  const pullSecrets = pullSecretsOf({ overrides: spec.resourceOverrides }, settings)
  const volumes = spec.volumes ?? []
  return {
    metadata: {
      labels: serverLabels(name),
      annotations: {
        'kubectl.kubernetes.io/default-container': 'mcp',
        ...(restartedAt !== undefined && { 'mcpserver.toolhive.stacklok.dev/restarted-at': restartedAt }),
        ...(secrets !== undefined && { [SECRETS]: secrets }),
      },
    },
    spec: {
      serviceAccountName: spec.serviceAccount ?? names.serverAccount(name),
      automountServiceAccountToken: spec.serviceAccount !== undefined || asksForVault(spec.podTemplateSpec),
      enableServiceLinks: false,
      securityContext: podSecurity(settings),
      ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((secret) => ({ name: secret })) }),
      ...(settings.topologySpread && { topologySpreadConstraints: spread({ app: name }) }),
      containers: [container(server, settings)],
      volumes: [
        { name: 'tmp', emptyDir: { sizeLimit: '256Mi' } },
        ...volumes.map(({ name: volume, hostPath }) => ({ name: volume, hostPath: { path: hostPath } })),
      ],
    },
  }
}

/** Vault's injector refuses a pod without a token of its ServiceAccount: it is what the sidecar signs in with. */
function asksForVault(patch: unknown): boolean {
  const metadata = isTree(patch) ? patch['metadata'] : undefined
  const annotations = isTree(metadata) ? metadata['annotations'] : undefined
  return isTree(annotations) && annotations['vault.hashicorp.com/agent-inject'] === 'true'
}

function container({ spec }: Server, settings: Settings): Tree {
  const port = spec.mcpPort ?? DEFAULT_PORT
  const isStdio = spec.transport === 'stdio'
  return {
    name: 'mcp',
    image: spec.image,
    ...(spec.args !== undefined && { args: [...spec.args] }),
    env: environment(spec, port),
    ...(isStdio
      ? { stdin: true }
      : {
          ports: [{ name: 'http', containerPort: port, protocol: 'TCP' }],
          readinessProbe: { tcpSocket: { port: 'http' }, periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 5 },
        }),
    ...(spec.resources !== undefined && { resources: quantities(spec.resources) }),
    securityContext: containerSecurity(settings),
    volumeMounts: [
      { name: 'tmp', mountPath: '/tmp' },
      ...(spec.volumes ?? []).map(({ name, mountPath, readOnly }) => ({
        name,
        mountPath,
        ...(readOnly && { readOnly }),
      })),
    ],
  }
}

/** One variable a name: what the user says wins over what the server is told of itself, and a Secret over both. */
function environment({ transport, env = [], secrets = [] }: Server['spec'], port: number): Tree[] {
  const variables = new Map<string, Tree>()
  const set = (name: string, value: Tree): void => {
    variables.delete(name)
    variables.set(name, { name, ...value })
  }
  set('MCP_TRANSPORT', { value: transport })
  if (transport !== 'stdio') {
    set('MCP_PORT', { value: String(port) })
    set('FASTMCP_PORT', { value: String(port) })
    set('MCP_HOST', { value: '0.0.0.0' })
  }
  for (const { name, value } of env) set(name, { value })
  for (const secret of secrets) {
    set(envName(secret), { valueFrom: { secretKeyRef: { name: secret.name, key: secret.key } } })
  }
  return [...variables.values()]
}

function quantities({ limits, requests }: NonNullable<Server['spec']['resources']>): Tree {
  return {
    ...(limits !== undefined && { limits: { ...limits } }),
    ...(requests !== undefined && { requests: { ...requests } }),
  }
}

function services({ metadata, spec }: Server, selector: Record<string, string>): KubeObject[] {
  const { namespace, name } = metadata
  const port = spec.mcpPort ?? DEFAULT_PORT
  const service = (serviceName: string, more: object): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: serviceName, namespace, labels: serverLabels(name) },
    spec: { selector, ports: [{ name: `port-${port}`, port, targetPort: port, protocol: 'TCP' }], ...more },
  })
  return [
    service(names.headless(name), { clusterIP: 'None' }),
    service(names.serverService(name), {
      type: 'ClusterIP',
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 1800 } },
    }),
  ]
}

function templateLabels({ spec }: KubeObject): Readonly<Record<string, unknown>> {
  const template = isTree(spec) && isTree(spec['template']) ? spec['template'] : {}
  const metadata = isTree(template['metadata']) ? template['metadata'] : {}
  return isTree(metadata['labels']) ? metadata['labels'] : {}
}

function policyOf(existing: KubeObject | undefined): unknown {
  return existing !== undefined && isTree(existing.spec) ? existing.spec['podManagementPolicy'] : undefined
}

function fingerprint(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)
}
