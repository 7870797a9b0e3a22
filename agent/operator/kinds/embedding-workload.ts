// The objects of an EmbeddingServer: a StatefulSet, its Service, and who may reach it. Names are ToolHive's.
// The claim of a volume can never be changed once it is made, so what it asked for first stays.

import type { EmbeddingServer } from '../../../crds/embedding-server.ts'
import type { KubeObject } from '../../kube/object.ts'
import { MANAGED_BY, MANAGER, ROLE } from '../label.ts'
import { patchTemplate } from '../pod-template.ts'
import { containerSecurity, podSecurity } from '../security.ts'
import type { Settings } from '../settings.ts'
import { isTree, type Tree } from '../strategic.ts'

export const DEFAULT_MODEL = 'BAAI/bge-small-en-v1.5'
const DEFAULT_IMAGE = 'ghcr.io/huggingface/text-embeddings-inference:cpu-latest'
const CACHE = 'model-cache'

export type EmbeddingObjects =
  | { readonly ok: true; readonly objects: KubeObject[] }
  | { readonly ok: false; readonly message: string }

interface Marks {
  readonly annotations?: Readonly<Record<string, string>> | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
}

export function embeddingSelector(name: string): Record<string, string> {
  return { 'app.kubernetes.io/name': 'embeddingserver', 'app.kubernetes.io/instance': name, 'toolhive-name': name }
}

/** Port of the server and of its Service. */
export function embeddingPort({ spec }: EmbeddingServer): number {
  return spec.port ?? 8080
}

/** What the volume of the model shall be; undefined where the model is fetched by every pod anew. */
export function cacheClaim({ spec }: EmbeddingServer): Tree | undefined {
  const { modelCache } = spec
  if (modelCache === undefined || modelCache.enabled === false) return undefined
  const { accessMode = 'ReadWriteOnce', size = '10Gi', storageClassName } = modelCache
  return {
    accessModes: [accessMode],
    resources: { requests: { storage: size } },
    ...(storageClassName !== undefined && { storageClassName }),
  }
}

/** The claim that the StatefulSet was made with. */
export function madeClaim(existing: KubeObject | undefined): Tree | undefined {
  const templates = isTree(existing?.spec) ? existing.spec['volumeClaimTemplates'] : undefined
  const made: unknown = Array.isArray(templates) ? templates[0] : undefined
  const spec = isTree(made) ? made['spec'] : undefined
  if (!isTree(spec)) return undefined
  const { accessModes, resources, storageClassName } = spec
  return { accessModes, resources, ...(storageClassName !== undefined && { storageClassName }) }
}

/** `existing` is the StatefulSet as it is. */
export function embeddingObjects(
  server: EmbeddingServer,
  settings: Settings,
  existing: KubeObject | undefined,
): EmbeddingObjects {
  const { spec, metadata } = server
  const { namespace, name } = metadata
  const patched = patchTemplate(podTemplate(server, settings), spec.podTemplateSpec, settings.podTemplateAllow)
  if (!patched.ok) return patched
  const labels = { ...embeddingSelector(name), toolhive: 'true', [MANAGED_BY]: MANAGER }
  const overrides = spec.resourceOverrides
  const claim = existing === undefined ? cacheClaim(server) : madeClaim(existing)
  const claimLabels = { ...embeddingSelector(name), toolhive: 'true' }
  const port = embeddingPort(server)
  const set: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: marked({ name, namespace, labels }, overrides?.statefulSet),
    spec: {
      replicas: spec.replicas ?? 1,
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: embeddingSelector(name) },
      serviceName: name,
      template: patched.template,
      ...(claim !== undefined && {
        volumeClaimTemplates: [
          {
            apiVersion: 'v1',
            kind: 'PersistentVolumeClaim',
            metadata: marked({ name: CACHE, labels: claimLabels }, overrides?.persistentVolumeClaim),
            spec: claim,
          },
        ],
        // What is on it can be fetched again.
        persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' },
      }),
    },
  }
  const service: KubeObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: marked({ name, namespace, labels }, overrides?.service),
    spec: {
      type: 'ClusterIP',
      selector: embeddingSelector(name),
      ports: [{ name: 'http', port, targetPort: 'http', protocol: 'TCP' }],
    },
  }
  const policy: KubeObject = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `${name}-embedding`, namespace, labels },
    spec: {
      podSelector: { matchLabels: embeddingSelector(name) },
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 'http', protocol: 'TCP' }] }],
    },
  }
  return { ok: true, objects: [service, ...(settings.networkPolicies ? [policy] : []), set] }
}

function podTemplate(server: EmbeddingServer, settings: Settings): Tree {
  const { spec, metadata } = server
  // The role is said so that no label of the user's can make it another's: a pod of a server, or of a proxy.
  const labels = { ...embeddingSelector(metadata.name), toolhive: 'true', [MANAGED_BY]: MANAGER, [ROLE]: 'embedding' }
  const hasClaim = cacheClaim(server) !== undefined
  const pullSecrets = settings.imagePullSecrets.map((name) => ({ name }))
  return {
    metadata: marked({ labels }, spec.resourceOverrides?.statefulSet?.podTemplateMetadataOverrides),
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      securityContext: podSecurity(settings),
      ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets }),
      containers: [container(server, settings)],
      volumes: [{ name: 'tmp', emptyDir: { sizeLimit: '1Gi' } }, ...(hasClaim ? [] : [{ name: CACHE, emptyDir: {} }])],
    },
  }
}

function container(server: EmbeddingServer, settings: Settings): Tree {
  const { spec } = server
  const port = embeddingPort(server)
  const { limits, requests } = spec.resources ?? {}
  const get = { httpGet: { path: '/health', port: 'http', scheme: 'HTTP' } }
  const token = spec.hfTokenSecretRef
  const given = new Set(token === undefined ? [] : ['HF_TOKEN'])
  return {
    name: 'embedding',
    image: spec.image ?? DEFAULT_IMAGE,
    imagePullPolicy: spec.imagePullPolicy ?? 'IfNotPresent',
    args: ['--model-id', spec.model ?? DEFAULT_MODEL, '--port', String(port), ...(spec.args ?? [])],
    env: [
      ...(spec.env ?? []).filter(({ name }) => !given.has(name)).map(({ name, value }) => ({ name, value })),
      ...(token === undefined
        ? []
        : [{ name: 'HF_TOKEN', valueFrom: { secretKeyRef: { name: token.name, key: token.key } } }]),
    ],
    ports: [{ name: 'http', containerPort: port, protocol: 'TCP' }],
    // A model may take long to come, and is not restarted for that.
    startupProbe: { ...get, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 240 },
    livenessProbe: { ...get, periodSeconds: 30, timeoutSeconds: 10 },
    readinessProbe: { ...get, periodSeconds: 10, timeoutSeconds: 5 },
    ...(spec.resources !== undefined && {
      resources: { ...(limits !== undefined && { limits }), ...(requests !== undefined && { requests }) },
    }),
    securityContext: containerSecurity(settings),
    volumeMounts: [
      { name: CACHE, mountPath: '/data' },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  }
}

/** Metadata with the user's labels and annotations; ours win. */
function marked<M extends { readonly labels: Record<string, string> }>(metadata: M, marks: Marks | undefined): M {
  const { annotations, labels = {} } = marks ?? {}
  return { ...metadata, labels: { ...labels, ...metadata.labels }, ...(annotations !== undefined && { annotations }) }
}
