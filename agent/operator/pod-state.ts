// Why pods do not run, in words that say what to do. The kubelet's own words are kept where they name the culprit.

import type { KubeObject } from '../kube/object.ts'

export interface Trouble {
  readonly reason: string
  readonly message: string
  /** It will not pass without somebody changing something. */
  readonly lasting: boolean
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string }
  readonly terminated?: { readonly reason?: string; readonly exitCode?: number }
}

interface ContainerStatus {
  readonly name: string
  readonly image?: string
  readonly restartCount?: number
  readonly state?: ContainerState
  readonly lastState?: ContainerState
}

interface PodStatus {
  readonly conditions?: readonly { type: string; status: string; reason?: string; message?: string }[]
  readonly containerStatuses?: readonly ContainerStatus[]
  readonly initContainerStatuses?: readonly ContainerStatus[]
}

/** The worst that keeps any of the pods from running; undefined when nothing does, or it is only starting. */
export function troubleOf(pods: readonly KubeObject[]): Trouble | undefined {
  const found = pods
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .flatMap(troubles)
  return found.find(({ lasting }) => lasting) ?? found[0]
}

function troubles(pod: KubeObject): Trouble[] {
  const { conditions = [], containerStatuses = [], initContainerStatuses = [] } = (pod.status ?? {}) as PodStatus
  const unscheduled = conditions.find(
    ({ type, status, reason }) => type === 'PodScheduled' && status === 'False' && reason === 'Unschedulable',
  )
  if (unscheduled !== undefined) {
    const message = `no node takes the pod ${pod.metadata.name}: ${unscheduled.message ?? 'no reason given'}`
    return [{ reason: 'Unschedulable', message, lasting: false }]
  }
  return [...initContainerStatuses, ...containerStatuses].flatMap((status) => container(pod, status) ?? [])
}

function container({ metadata }: KubeObject, status: ContainerStatus): Trouble | undefined {
  const { waiting } = status.state ?? {}
  const said = (waiting?.message ?? '').slice(0, 500)
  const { name, namespace = '' } = metadata
  switch (waiting?.reason) {
    case 'CrashLoopBackOff':
      return { reason: 'CrashLoopBackOff', message: crashed(status, name, namespace), lasting: true }
    case 'CreateContainerConfigError':
      return configError(said, namespace)
    case 'CreateContainerError':
    case 'RunContainerError':
      return {
        reason: waiting.reason,
        message: `the container ${status.name} cannot be started: ${said}`,
        lasting: true,
      }
    case 'InvalidImageName':
      return {
        reason: 'InvalidImageName',
        message: `spec.image is not the name of an image: ${status.image ?? ''}`,
        lasting: true,
      }
    case 'ErrImagePull':
    case 'ImagePullBackOff':
    case 'ErrImageNeverPull':
      return {
        reason: 'ImagePullBackOff',
        message:
          `the image ${status.image ?? ''} cannot be pulled: check its name, and the Secret for pulling it. ${said}`.trim(),
        lasting: false,
      }
    default:
      return undefined
  }
}

function crashed({ name, restartCount = 0, lastState }: ContainerStatus, pod: string, namespace: string): string {
  const { reason, exitCode } = lastState?.terminated ?? {}
  const logs = `kubectl logs -n ${namespace} ${pod} -c ${name} --previous`
  if (reason === 'OOMKilled')
    return `the container ${name} ran out of memory ${restartCount} times: raise spec.resources.limits.memory (${logs})`
  return `the container ${name} ended ${restartCount} times${exitCode === undefined ? '' : `, with exit code ${exitCode}`}: ${logs}`
}

/** What the kubelet misses before it can make a container. Secrets and ConfigMaps may still come. */
function configError(said: string, namespace: string): Trouble {
  const missing = /^(secret|configmap) "([^"]+)" not found/i.exec(said)
  if (missing !== null) {
    const kind = missing[1]?.toLowerCase() === 'secret' ? 'Secret' : 'ConfigMap'
    const message = `the ${kind} ${namespace}/${missing[2]} does not exist; the server starts as soon as it does`
    return { reason: `${kind}NotFound`, message, lasting: false }
  }
  const key = /couldn't find key (\S+) in (Secret|ConfigMap) (\S+)/.exec(said)
  if (key !== null) {
    const message = `the ${key[2]} ${key[3]} has no key "${key[1]}"; the server starts as soon as it does`
    return { reason: `${key[2]}KeyNotFound`, message, lasting: false }
  }
  const isRoot = said.includes('run as root') || said.includes('runAsNonRoot')
  const advice = isRoot
    ? '; servers must not run as root: set securityContext.runAsUser of container mcp in spec.podTemplateSpec to a user of the image'
    : ''
  return { reason: 'CreateContainerConfigError', message: `${said}${advice}`, lasting: isRoot }
}
