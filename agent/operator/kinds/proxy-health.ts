// How the proxies of an endpoint are, where there are no pods behind them: of an MCPRemoteProxy or a VirtualMCPServer.

import type { ConditionDraft, World } from '../kind.ts'
import { proxySelector, type ProxiedKind } from '../label.ts'
import { troubleOf } from '../pod-state.ts'
import { no, stuck, yes } from './condition.ts'
import { failure, workload } from './server-health.ts'

export interface ProxyHealth {
  readonly phase: 'Pending' | 'Ready' | 'Failed'
  readonly message: string
  readonly readyReplicas: number
  /** Ready, with Stalled or Reconciling where they say more. */
  readonly conditions: readonly ConditionDraft[]
}

/** `running` is what a ready endpoint says of itself. */
export function proxyHealth(
  kind: ProxiedKind,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  world: World,
  running: string,
): ProxyHealth {
  const deployment = world.object('Deployment', namespace, name)
  const { wanted, ready, rolled } = workload(deployment)
  if (wanted === 0) {
    const message = 'stopped: spec.replicas is 0'
    // What was asked for is so; waiting for more would wait for ever.
    return { phase: 'Pending', message, readyReplicas: ready, conditions: [yes('Ready', 'Stopped', message)] }
  }
  const trouble = troubleOf(world.pods(namespace, proxySelector(kind, name))) ?? failure(deployment)
  if (ready > 0) {
    const why = trouble?.message ?? 'a change is being rolled out'
    return {
      phase: 'Ready',
      message: trouble === undefined ? running : `${running}; ${trouble.message}`,
      readyReplicas: ready,
      conditions: [yes('Ready', 'Running', running), ...(rolled ? [] : [yes('Reconciling', 'RollingOut', why)])],
    }
  }
  if (trouble !== undefined) {
    const { reason, message, lasting } = trouble
    return {
      phase: lasting ? 'Failed' : 'Pending',
      message,
      readyReplicas: 0,
      conditions: lasting ? stuck(reason, message) : [no('Ready', reason, message)],
    }
  }
  const message = 'waiting for the proxy to become ready'
  return { phase: 'Pending', message, readyReplicas: 0, conditions: [no('Ready', 'Starting', message)] }
}
