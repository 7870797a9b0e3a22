// The pods in front of a server, or of many: Deployment, Services, and what keeps them up. The same for every kind that has a proxy.
// The pod's template holds what needs a new pod (ports, image, mounts); everything else is in the run config and is taken up live.

import { INTERNAL_PORT } from '../../plan/address.ts'
import { places, RUN_CONFIG } from '../run-config.ts'
import type { SecretRef } from '../../plan/references.ts'
import type { KubeObject } from '../kube/object.ts'
import { names, proxyLabels, proxySelector, type ProxiedKind } from './label.ts'
import { patchTemplate } from './pod-template.ts'
import { containerSecurity, podSecurity } from './security.ts'
import type { Settings } from './settings.ts'
import type { Tree } from './strategic.ts'

interface Marks {
  readonly annotations?: Readonly<Record<string, string>> | undefined
  readonly labels?: Readonly<Record<string, string>> | undefined
}

interface Quantities {
  readonly cpu?: string | undefined
  readonly memory?: string | undefined
}

/** `spec.resourceOverrides` */
export interface Overrides {
  readonly proxyDeployment?:
    | (Marks & {
        readonly env?: readonly { readonly name: string; readonly value: string }[] | undefined
        readonly imagePullSecrets?: readonly { readonly name: string }[] | undefined
        readonly podTemplateMetadataOverrides?: Marks | undefined
      })
    | undefined
  readonly proxyService?: Marks | undefined
}

export interface ProxyDraft {
  readonly kind: ProxiedKind
  readonly namespace: string
  readonly name: string
  /** Port that clients know, of the Service. */
  readonly port: number
  /** Other ports of the main Service that lead to the same place. */
  readonly morePorts?: readonly number[]
  /** A second Service under another name. */
  readonly alias?: { readonly name: string; readonly port: number } | undefined
  readonly serviceType?: string | undefined
  readonly sessionAffinity: 'ClientIP' | 'None'
  /** Undefined: left to an autoscaler, or to whoever scales the Deployment. */
  readonly replicas: number | undefined
  /** How many are asked for now, by whomever; 1 when there are none yet. */
  readonly current: number
  /** A ServiceAccount that exists already. */
  readonly serviceAccount?: string | undefined
  /** Values that the proxy itself needs. They stand as files and may come later. */
  readonly secrets: readonly Pick<SecretRef, 'name' | 'key'>[]
  /** Names of the Secrets with its keys. */
  readonly keys: { readonly signing?: string | undefined; readonly sealing?: string | undefined }
  readonly resources?:
    | { readonly limits?: Quantities | undefined; readonly requests?: Quantities | undefined }
    | undefined
  readonly overrides?: Overrides | undefined
  /** The user's changes to these pods. */
  readonly podTemplateSpec?: unknown
  /** Changes when somebody asks for new pods. */
  readonly restartedAt?: string | undefined
}

export type ProxyObjects =
  | { readonly ok: true; readonly objects: KubeObject[] }
  /** The podTemplateSpec is refused; `message` says why. */
  | { readonly ok: false; readonly message: string }

/** Port on which the pods listen: that of the Service where a process without privileges may have it. */
export function containerPort(port: number): number {
  return port < 1024 || port === INTERNAL_PORT ? 8080 : port
}

/** Name of the container: ToolHive's. */
export function containerName(kind: ProxiedKind): string {
  return kind === 'VirtualMCPServer' ? 'vmcp' : 'toolhive'
}

/** Deployment, Services and, where the admin wants them, a PodDisruptionBudget. The ConfigMap is `runConfigMap`'s. */
export function proxyObjects(draft: ProxyDraft, settings: Settings): ProxyObjects {
  const patched = patchTemplate(podTemplate(draft, settings), draft.podTemplateSpec, settings.podTemplateAllow)
  if (!patched.ok) return patched
  const { kind, namespace, name, replicas, current, overrides } = draft
  const labels = proxyLabels(kind, name)
  const deployment: KubeObject = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: marked({ name, namespace, labels }, overrides?.proxyDeployment),
    spec: {
      ...(replicas !== undefined && { replicas }),
      selector: { matchLabels: proxySelector(kind, name) },
      template: patched.template,
    },
  }
  const objects = [deployment, ...services(draft)]
  if (settings.podDisruptionBudgets && (replicas ?? current) > 1) {
    objects.push(disruptionBudget({ name, namespace, labels }, proxySelector(kind, name)))
  }
  return { ok: true, objects }
}

function podTemplate(draft: ProxyDraft, settings: Settings): Tree {
  const { kind, name, overrides, restartedAt } = draft
  const labels = proxyLabels(kind, name)
  const metadata = marked({ labels }, overrides?.proxyDeployment?.podTemplateMetadataOverrides)
  const pullSecrets = pullSecretsOf(draft, settings)
  return {
    metadata: {
      ...metadata,
      annotations: {
        'kubectl.kubernetes.io/default-container': containerName(kind),
        ...metadata.annotations,
        ...(restartedAt !== undefined && { 'mcpserver.toolhive.stacklok.dev/restarted-at': restartedAt }),
      },
    },
    spec: {
      serviceAccountName: draft.serviceAccount ?? names.account(kind, name),
      automountServiceAccountToken: true,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 30,
      securityContext: podSecurity(settings),
      ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((secret) => ({ name: secret })) }),
      ...(settings.topologySpread && { topologySpreadConstraints: spread(proxySelector(kind, name)) }),
      containers: [container(draft, settings)],
      volumes: volumes(draft),
    },
  }
}

function container(draft: ProxyDraft, settings: Settings): Tree {
  const { kind, overrides, resources } = draft
  const get = (path: string): Tree => ({ httpGet: { path, port: 'internal', scheme: 'HTTP' } })
  return {
    name: containerName(kind),
    image: kind === 'VirtualMCPServer' ? settings.virtualImage : settings.image,
    imagePullPolicy: settings.imagePullPolicy,
    args: [kind === 'VirtualMCPServer' ? 'vmcp' : 'proxy'],
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
      { name: 'POD_NAMESPACE', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } } },
      { name: 'WAGGLE_CONFIG_MAP', value: names.config(kind, draft.name) },
      ...(overrides?.proxyDeployment?.env ?? []).filter(({ name }) => !isReserved(name)),
    ],
    ports: [
      { name: 'http', containerPort: containerPort(draft.port), protocol: 'TCP' },
      { name: 'internal', containerPort: INTERNAL_PORT, protocol: 'TCP' },
    ],
    startupProbe: { ...get('/livez'), periodSeconds: 1, timeoutSeconds: 3, failureThreshold: 90 },
    livenessProbe: { ...get('/livez'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
    readinessProbe: { ...get('/readyz'), periodSeconds: 5, timeoutSeconds: 3, failureThreshold: 3 },
    resources: {
      requests: { cpu: '20m', memory: '96Mi', ...resources?.requests },
      limits: { memory: kind === 'VirtualMCPServer' ? '512Mi' : '256Mi', ...resources?.limits },
    },
    securityContext: containerSecurity(settings),
    volumeMounts: [
      { name: 'runconfig', mountPath: places.config, readOnly: true },
      { name: 'secrets', mountPath: places.secrets, readOnly: true },
      { name: 'keys', mountPath: places.keys, readOnly: true },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  }
}

/**
 * Variables by which a proxy could be made to run other code, to read another config, or to trust other certificates: what it
 * enforces and audits holds for the author of its resource too.
 */
export function isReserved(variable: string): boolean {
  return /^(POD_NAME|POD_NAMESPACE|(WAGGLE|NODE|KUBERNETES|SSL|OPENSSL|LD)_.*)$/iu.test(variable)
}

function volumes({ kind, name, secrets, keys }: ProxyDraft): Tree[] {
  const byName = new Map<string, string[]>()
  for (const { name: secret, key } of secrets) byName.set(secret, [...new Set([...(byName.get(secret) ?? []), key])])
  const sources = [...byName]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([secret, wanted]) => ({
      secret: {
        name: secret,
        // A Secret that comes later, by an operator of its own, must not keep the proxy from starting.
        optional: true,
        items: [...wanted].sort().map((key) => ({ key, path: `${secret}/${key}` })),
      },
    }))
  const keyFiles = [
    ...(keys.signing === undefined ? [] : [{ name: keys.signing, file: 'signing.jwk' }]),
    ...(keys.sealing === undefined ? [] : [{ name: keys.sealing, file: 'sealing' }]),
  ].map(({ name: secret, file }) => ({ secret: { name: secret, optional: true, items: [{ key: file, path: file }] } }))
  return [
    {
      name: 'runconfig',
      configMap: { name: names.config(kind, name), items: [{ key: RUN_CONFIG, path: RUN_CONFIG }] },
    },
    { name: 'secrets', projected: { sources, defaultMode: 0o440 } },
    { name: 'keys', projected: { sources: keyFiles, defaultMode: 0o440 } },
    { name: 'tmp', emptyDir: { sizeLimit: '64Mi' } },
  ]
}

function services(draft: ProxyDraft): KubeObject[] {
  const { kind, namespace, name, port, morePorts = [], alias, overrides } = draft
  const make = (service: string, ports: readonly number[], internal: boolean): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: marked({ name: service, namespace, labels: proxyLabels(kind, name) }, overrides?.proxyService),
    spec: {
      type: draft.serviceType ?? 'ClusterIP',
      selector: proxySelector(kind, name),
      sessionAffinity: draft.sessionAffinity,
      ports: [
        ...[...new Set(ports)].map((one, i) => ({
          name: i === 0 ? 'http' : `http-${one}`,
          port: one,
          targetPort: 'http',
          protocol: 'TCP',
          appProtocol: 'http',
        })),
        ...(internal ? [{ name: 'internal', port: INTERNAL_PORT, targetPort: 'internal', protocol: 'TCP' }] : []),
      ],
    },
  })
  // The internal port is the cluster's: a Service that leads outside does not have it.
  const isInside = (draft.serviceType ?? 'ClusterIP') === 'ClusterIP'
  const main = make(names.service(kind, name), [port, ...morePorts], isInside)
  return alias === undefined ? [main] : [main, make(alias.name, [alias.port], false)]
}

/** Names of the Secrets for pulling the images of a proxy: the resource's own first, then the admin's. */
export function pullSecretsOf(draft: Pick<ProxyDraft, 'overrides'>, settings: Settings): string[] {
  const own = (draft.overrides?.proxyDeployment?.imagePullSecrets ?? [])
    .map(({ name }) => name)
    .filter((one) => one !== '')
  return [...new Set([...own, ...settings.imagePullSecrets])]
}

/** Spread over nodes and zones, but never a reason not to run. */
export function spread(matchLabels: Readonly<Record<string, string>>): Tree[] {
  return ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map((topologyKey) => ({
    maxSkew: 1,
    topologyKey,
    whenUnsatisfiable: 'ScheduleAnyway',
    labelSelector: { matchLabels: { ...matchLabels } },
  }))
}

/** One pod at a time may be taken away on purpose. */
export function disruptionBudget(
  metadata: KubeObject['metadata'],
  matchLabels: Readonly<Record<string, string>>,
): KubeObject {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata,
    spec: { maxUnavailable: 1, selector: { matchLabels: { ...matchLabels } } },
  }
}

/** Metadata with the user's labels and annotations; ours win. */
function marked<M extends { readonly labels?: Record<string, string> }>(
  metadata: M,
  marks: Marks | undefined,
): M & { labels: Record<string, string>; annotations?: Record<string, string> } {
  const { annotations = {}, labels = {} } = marks ?? {}
  return {
    ...metadata,
    labels: { ...labels, ...metadata.labels },
    ...(Object.keys(annotations).length > 0 && { annotations: { ...annotations } }),
  }
}
