// What tests do with pods: wait for them, run a program in one, and send the client on an errand.

import type { Pod, PodSpec, VolumeMount } from 'kubernetes-types/core/v1.js'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { call } from './bed/api.ts'
import type { Cluster } from './bed/plan.ts'
import { until } from './bed/shell.ts'
import type { Answer, Errand } from './fixtures/errand.ts'
import { clientImage } from './image.ts'
import type { Shared } from './shared.ts'

const ERRAND_MS = 180_000
const READY_S = 180

/** The pods of a namespace that a label selector finds, without those that are on their way out. */
export async function pods(c: Cluster, namespace: string, selector: string): Promise<Pod[]> {
  const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`
  const { items } = await call<{ items: Pod[] }>(c, 'GET', path)
  return items.filter((pod) => pod.metadata?.deletionTimestamp === undefined)
}

/** The one pod that the selector finds, once it is ready. */
export function readyPod(c: Cluster, namespace: string, selector: string): Promise<Pod> {
  return until(
    `a ready pod ${selector} in ${namespace}`,
    async () => {
      const found = await pods(c, namespace, selector)
      const one = found.length === 1 ? found[0] : undefined
      return one?.status?.conditions?.some((it) => it.type === 'Ready' && it.status === 'True') === true
        ? one
        : undefined
    },
    READY_S,
  )
}

/** Runs a command in a pod; resolves with what it printed and how it ended. `onLine` hears each line as it is printed. */
export async function exec(
  shared: Shared,
  namespace: string,
  pod: string,
  command: readonly string[],
  input = '',
  onLine: (line: string) => void = () => {},
): Promise<{ out: string; complaint: string; code: number | null }> {
  const kubeconfig = `--kubeconfig=${shared.cluster.dir}/kubeconfig`
  const child = spawn(
    shared.tools.kube,
    ['kubectl', kubeconfig, '-n', namespace, 'exec', '-i', pod, '--', ...command],
    {
      timeout: ERRAND_MS,
    },
  )
  child.stdin.on('error', () => {}).end(input)
  createInterface({ input: child.stdout }).on('line', onLine)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [out, complaint, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { out, complaint, code }
}

/** A pod in which `visit` runs the client; one a namespace. It is nobody, unless `more` says who it is. */
export async function startClient(
  { cluster }: Shared,
  namespace: string,
  more: Partial<PodSpec> = {},
  volumeMounts: readonly VolumeMount[] = [],
): Promise<void> {
  const security = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: true }
  await call(cluster, 'POST', `/api/v1/namespaces/${namespace}/pods`, {
    metadata: { name: 'client', labels: { app: 'client' } },
    spec: {
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 0,
      containers: [
        { name: 'client', image: clientImage, imagePullPolicy: 'Always', securityContext: security, volumeMounts },
      ],
      ...more,
    },
  })
  await readyPod(cluster, namespace, 'app=client')
}

/** Sends the client of a namespace to an endpoint; one answer a step, `onAnswer` hears them at once. Throws what went wrong there. */
export async function visit(
  shared: Shared,
  namespace: string,
  errand: Errand,
  onAnswer: (answer: Answer) => void = () => {},
): Promise<Answer[]> {
  const answers: Answer[] = []
  const hear = (line: string): void => {
    const answer = JSON.parse(line) as Answer
    answers.push(answer)
    onAnswer(answer)
  }
  const command = ['/bin/node', '/app/client.js']
  const { complaint } = await exec(shared, namespace, 'client', command, JSON.stringify(errand), hear)
  const last = answers.pop()
  if (last?.done !== true) throw new Error(`${errand.url}: ${last?.error ?? complaint}`)
  return answers
}

/** The text of what a tool answered. */
export function textOf(answer: Answer | undefined): string {
  return answer?.result?.content[0]?.text ?? ''
}
