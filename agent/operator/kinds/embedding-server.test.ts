import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '../../kube/object.ts'
import type { Plan } from '../kind.ts'
import { embeddingSelector } from './embedding-workload.ts'
import { embeddingServer } from './embedding-server.ts'
import { message, NAMESPACE, objectOf, planned, verdicts } from './scene.ts'

const plans = (spec: object = {}, objects: readonly KubeObject[] = []): Plan =>
  planned(embeddingServer, { manifests: [{ kind: 'EmbeddingServer', name: 'tei', spec }], objects })
const claim = { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '10Gi' } } }
const set = (readyReplicas: number, spec: object = {}): KubeObject => ({
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  metadata: { name: 'tei', namespace: NAMESPACE },
  spec: { replicas: 1, ...spec },
  status: { readyReplicas },
})
const pod = (status: object): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'tei-0', namespace: NAMESPACE, labels: embeddingSelector('tei') },
  status,
})
const volume = (phase: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'PersistentVolumeClaim',
  metadata: { name: 'model-cache-tei-0', namespace: NAMESPACE },
  status: { phase },
})

test('an empty spec gives one pod of the default model and a Service by its name', () => {
  const plan = plans()
  assert.deepEqual(
    plan.objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
    ['Service tei', 'NetworkPolicy tei-embedding', 'StatefulSet tei'],
  )
  assert.equal(plan.status['url'], `http://tei.${NAMESPACE}.svc.cluster.local:8080`)
  const text = JSON.stringify(objectOf(plan, 'StatefulSet', 'tei').spec)
  for (const part of [
    '"args":["--model-id","BAAI/bge-small-en-v1.5","--port","8080"]',
    '"runAsNonRoot":true',
    '"automountServiceAccountToken":false',
    '"emptyDir":{}',
  ])
    assert.ok(text.includes(part), part)
  assert.ok(!text.includes('volumeClaimTemplates'))
})

test('every field of the spec shows in the objects', () => {
  const plan = plans({
    model: 'org/model',
    image: 'tei:1',
    imagePullPolicy: 'Never',
    port: 9000,
    replicas: 3,
    args: ['--pooling', 'mean'],
    env: [{ name: 'RUST_LOG', value: 'info' }],
    hfTokenSecretRef: { name: 'hf', key: 'token' },
    modelCache: { size: '5Gi', accessMode: 'ReadWriteMany', storageClassName: 'fast' },
    resources: { limits: { memory: '2Gi' } },
    podTemplateSpec: { spec: { nodeSelector: { gpu: 'yes' } } },
    resourceOverrides: {
      statefulSet: { annotations: { a: '1' }, podTemplateMetadataOverrides: { annotations: { b: '2' } } },
      service: { labels: { c: '3' } },
      persistentVolumeClaim: { labels: { d: '4' } },
    },
  })
  const { metadata, spec } = objectOf(plan, 'StatefulSet', 'tei')
  const text = JSON.stringify(spec)
  assert.equal(metadata.annotations?.['a'], '1')
  for (const part of [
    '"replicas":3',
    '"image":"tei:1"',
    '"imagePullPolicy":"Never"',
    '"args":["--model-id","org/model","--port","9000","--pooling","mean"]',
    '{"name":"RUST_LOG","value":"info"}',
    '"secretKeyRef":{"name":"hf","key":"token"}',
    '"accessModes":["ReadWriteMany"],"resources":{"requests":{"storage":"5Gi"}},"storageClassName":"fast"',
    '"limits":{"memory":"2Gi"}',
    '"gpu":"yes"',
    '"annotations":{"b":"2"}',
    '"d":"4"',
  ])
    assert.ok(text.includes(part), part)
  const stolen = plans({ podTemplateSpec: { metadata: { labels: { app: 'grafana', 'waggle.dev/role': 'server' } } } })
  assert.match(message(stolen, 'Ready'), /changes the label waggle\.dev\/role/, 'no pod of another resource')
  const service = objectOf(plan, 'Service', 'tei')
  assert.equal(service.metadata.labels?.['c'], '3')
  assert.ok(JSON.stringify(service.spec).includes('"port":9000'))
})

const cases: readonly {
  readonly name: string
  readonly spec?: object
  readonly objects?: readonly KubeObject[]
  readonly phase: string
  readonly conditions: Readonly<Record<string, string>>
}[] = [
  { name: 'it is new', phase: 'Pending', conditions: { Ready: 'False Starting', ModelReady: 'False Starting' } },
  {
    name: 'its pod runs and fetches the model',
    objects: [set(0), pod({ phase: 'Running' })],
    phase: 'Downloading',
    conditions: { Ready: 'False ModelDownloading', ModelReady: 'False ModelDownloading' },
  },
  {
    name: 'its pod is ready',
    objects: [set(1), pod({ phase: 'Running' })],
    phase: 'Ready',
    conditions: { Ready: 'True Running', ModelReady: 'True ModelReady' },
  },
  {
    name: 'its pod crashes',
    objects: [
      set(0),
      pod({
        phase: 'Running',
        containerStatuses: [{ name: 'embedding', restartCount: 4, state: { waiting: { reason: 'CrashLoopBackOff' } } }],
      }),
    ],
    phase: 'Failed',
    conditions: { Ready: 'False CrashLoopBackOff', Stalled: 'True CrashLoopBackOff' },
  },
  {
    name: 'its volume is not there yet',
    spec: { modelCache: {} },
    objects: [set(0, { volumeClaimTemplates: [{ spec: claim }] }), volume('Pending')],
    phase: 'Pending',
    conditions: { VolumeReady: 'False VolumePending' },
  },
  {
    name: 'its volume is there',
    spec: { modelCache: {} },
    objects: [set(1, { volumeClaimTemplates: [{ spec: claim }] }), volume('Bound')],
    phase: 'Ready',
    conditions: { VolumeReady: 'True VolumeBound' },
  },
  {
    name: 'its volume shall grow, which no StatefulSet can',
    spec: { modelCache: { size: '20Gi' } },
    objects: [set(1, { volumeClaimTemplates: [{ spec: claim }] }), volume('Bound')],
    phase: 'Ready',
    conditions: { VolumeReady: 'False VolumeNotChanged' },
  },
  {
    name: 'its pods may not be made',
    spec: { podTemplateSpec: { spec: { hostNetwork: true } } },
    phase: 'Failed',
    conditions: { Ready: 'False InvalidPodTemplateSpec', Stalled: 'True InvalidPodTemplateSpec' },
  },
]

for (const { name, spec, objects, phase, conditions } of cases) {
  test(`an EmbeddingServer is ${phase} when ${name}`, () => {
    const plan = plans(spec, objects)
    const seen = verdicts(plan)
    assert.equal(plan.status['phase'], phase)
    for (const [type, verdict] of Object.entries(conditions)) assert.equal(seen[type], verdict, message(plan, type))
    assert.equal('Stalled' in seen, phase === 'Failed')
  })
}

test('a volume that was made stays as it was made, or the API server would refuse everything else', () => {
  const plan = plans({ modelCache: { size: '20Gi' } }, [set(1, { volumeClaimTemplates: [{ spec: claim }] })])
  assert.ok(JSON.stringify(objectOf(plan, 'StatefulSet', 'tei').spec).includes('"storage":"10Gi"'))
})
