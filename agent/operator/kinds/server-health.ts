// How an MCPServer is: from what its workloads report, and why its pods do not run.

import type { Resource } from '../../../plan/resources.ts'
import type { KubeObject } from '../../kube/object.ts'
import type { ConditionDraft, World } from '../kind.ts'
import { proxySelector } from '../label.ts'
import { troubleOf, type Trouble } from '../pod-state.ts'
import { no, yes } from './condition.ts'

type Server = Extract<Resource, { kind: 'MCPServer' }>

export interface ServerHealth {
  readonly phase: 'Pending' | 'Ready' | 'Failed' | 'Stopped'
  readonly message: string
  readonly readyReplicas: number
  readonly conditions: readonly ConditionDraft[]
}

export interface Workload {
  readonly wanted: number
  readonly ready: number
  /** All pods are of the present template. */
  readonly rolled: boolean
}

/** Ready as soon as one proxy and one server serve; `Reconciling` while a change is rolled out. */
export function health(server: Server, world: World): ServerHealth {
  const { namespace, name } = server.metadata
  const pods = workload(world.object('StatefulSet', namespace, name))
  const proxies = workload(world.object('Deployment', namespace, name))
  const { ready } = pods
  if (pods.wanted === 0 || proxies.wanted === 0) {
    const what = pods.wanted === 0 ? 'spec.backendReplicas' : 'spec.replicas'
    const message = `stopped: ${what} is 0`
    // What was asked for is so; waiting for more would wait for ever.
    return { phase: 'Stopped', message, readyReplicas: ready, conditions: [yes('Ready', 'Stopped', message)] }
  }
  const trouble =
    troubleOf(world.pods(namespace, { 'toolhive-name': name, app: name })) ??
    troubleOf(world.pods(namespace, proxySelector('MCPServer', name))) ??
    failure(world.object('Deployment', namespace, name))
  if (ready > 0 && proxies.ready > 0) {
    const message = 'MCP server is running'
    const rolling = !pods.rolled || !proxies.rolled
    const why = trouble?.message ?? 'a change is being rolled out'
    return {
      phase: 'Ready',
      message: trouble === undefined ? message : `${message}; ${trouble.message}`,
      readyReplicas: ready,
      conditions: [yes('Ready', 'Running', message), ...(rolling ? [yes('Reconciling', 'RollingOut', why)] : [])],
    }
  }
  if (trouble !== undefined) return troubled(trouble, ready)
  const waiting = [...(ready === 0 ? ['the server'] : []), ...(proxies.ready === 0 ? ['its proxy'] : [])].join(' and ')
  const message = `waiting for ${waiting} to become ready`
  return { phase: 'Pending', message, readyReplicas: ready, conditions: [no('Ready', 'Starting', message)] }
}

function troubled({ reason, message, lasting }: Trouble, readyReplicas: number): ServerHealth {
  const stalled = lasting ? [yes('Stalled', reason, message)] : []
  return {
    phase: lasting ? 'Failed' : 'Pending',
    message,
    readyReplicas,
    conditions: [no('Ready', reason, message), ...stalled],
  }
}

/** Pods that the controller of a Deployment is not allowed to make: quotas, limits, admission. */
export function failure(deployment: KubeObject | undefined): Trouble | undefined {
  const { conditions = [] } = (deployment?.status ?? {}) as {
    conditions?: readonly { type: string; status: string; message?: string }[]
  }
  const found = conditions.find(({ type, status }) => type === 'ReplicaFailure' && status === 'True')
  if (found === undefined) return undefined
  return { reason: 'PodsRefused', message: `pods of the proxy are refused: ${found.message ?? ''}`, lasting: false }
}

export function workload(object: KubeObject | undefined): Workload {
  const { replicas: wanted = 1 } = (object?.spec ?? {}) as { replicas?: number }
  const status = (object?.status ?? {}) as {
    observedGeneration?: number
    readyReplicas?: number
    updatedReplicas?: number
    replicas?: number
  }
  const { observedGeneration = 0, readyReplicas = 0, updatedReplicas = 0, replicas = 0 } = status
  const rolled =
    observedGeneration >= (object?.metadata.generation ?? 0) &&
    updatedReplicas >= wanted &&
    replicas <= wanted &&
    readyReplicas >= wanted
  return { wanted, ready: readyReplicas, rolled }
}
