import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '../../kube/object.ts'
import { plans, printed, running, serving, workload } from './grafana-scene.ts'
import { NAMESPACE, verdicts } from './scene.ts'

const pod = (labels: Record<string, string>, waiting: object, lastState: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'grafana-0', namespace: NAMESPACE, labels },
  status: {
    containerStatuses: [{ name: 'mcp', image: printed.image, restartCount: 3, state: { waiting }, lastState }],
  },
})

const serverPod = { app: 'grafana', toolhive: 'true', 'toolhive-name': 'grafana' }

test('it is running when a server and a proxy serve, and says so while a change is rolled out', () => {
  const plan = plans({}, { objects: running })
  assert.equal(verdicts(plan)['Ready'], 'True Running')
  assert.deepEqual(
    [plan.status['phase'], plan.status['message'], plan.status['readyReplicas']],
    ['Ready', 'MCP server is running', 1],
  )
  const rolling = plans(
    {},
    { objects: [workload('Deployment', serving), workload('StatefulSet', { ...serving, updatedReplicas: 0 })] },
  )
  assert.equal(verdicts(rolling)['Ready'], 'True Running')
  assert.equal(verdicts(rolling)['Reconciling'], 'True RollingOut')
  assert.equal(verdicts(plans())['Ready'], 'False Starting')
  const stopped = plans({ replicas: 0 }, { objects: [workload('Deployment', {}, 0), workload('StatefulSet', serving)] })
  assert.equal(stopped.status['phase'], 'Stopped')
  assert.equal(verdicts(stopped)['Ready'], 'True Stopped')
})

const troubles: readonly [string, KubeObject, string, string, RegExp][] = [
  [
    'a missing Secret',
    pod(serverPod, { reason: 'CreateContainerConfigError', message: 'secret "grafana-token" not found' }),
    'Pending',
    'SecretNotFound',
    /Secret platform-tools\/grafana-token does not exist/,
  ],
  [
    'a missing key',
    pod(serverPod, {
      reason: 'CreateContainerConfigError',
      message: "couldn't find key token in Secret platform-tools/grafana-token",
    }),
    'Pending',
    'SecretKeyNotFound',
    /has no key "token"/,
  ],
  [
    'an image that runs as root',
    pod(serverPod, {
      reason: 'CreateContainerConfigError',
      message: 'container has runAsNonRoot and image will run as root',
    }),
    'Failed',
    'CreateContainerConfigError',
    /runAsUser/,
  ],
  [
    'a crash',
    pod(serverPod, { reason: 'CrashLoopBackOff' }, { terminated: { exitCode: 7 } }),
    'Failed',
    'CrashLoopBackOff',
    /exit code 7: kubectl logs/,
  ],
  [
    'too little memory',
    pod(serverPod, { reason: 'CrashLoopBackOff' }, { terminated: { reason: 'OOMKilled' } }),
    'Failed',
    'CrashLoopBackOff',
    /resources.limits.memory/,
  ],
  [
    'an image that is not there',
    pod(serverPod, { reason: 'ErrImagePull', message: 'not found' }),
    'Pending',
    'ImagePullBackOff',
    /mcp-grafana:latest/,
  ],
  ['no name of an image', pod(serverPod, { reason: 'InvalidImageName' }), 'Failed', 'InvalidImageName', /spec.image/],
]

for (const [what, one, phase, reason, words] of troubles) {
  test(`${what} is told in the status`, () => {
    const plan = plans({}, { objects: [workload('Deployment', serving), workload('StatefulSet', {}), one] })
    assert.equal(plan.status['phase'], phase)
    assert.equal(verdicts(plan)['Ready'], `False ${reason}`)
    assert.match(String(plan.status['message']), words)
    assert.equal(verdicts(plan)['Stalled'], phase === 'Failed' ? `True ${reason}` : undefined)
  })
}
