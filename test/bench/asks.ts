// What a tool costs that asks its caller before it answers: passed on to a legacy server, and bridged to a modern one.
import type { Child } from './child.ts'
import type { Gateway } from './gateway.ts'
import { ask } from './manifests.ts'
import type { Asks } from './results.ts'
import { compare } from './rounds.ts'
import type { Pace, Side } from './rounds.ts'
import { startWorker } from './workerd.ts'

export interface AskPlan {
  readonly backend: string
  readonly backendPid: number
  readonly load: Child
  readonly gateway: Gateway
  readonly users: number
  readonly pace: Pace
}

/** Legacy sessions only: rows `direct` and `relay` have the legacy server behind them in both comparisons. */
export async function measureAsks({ backend, backendPid, load, gateway, users, pace }: AskPlan): Promise<Asks[]> {
  const relay = await startWorker({ worker: 'relay.ts', bindings: { BACKEND: backend } })
  try {
    const path = '/legacy/30/asking-legacy'
    const plain = { era: 'legacy', tokens: [], tool: 'ask', sessions: true } as const
    const direct: Side = { name: 'direct', target: { ...plain, url: backend + path }, pid: backendPid }
    const relayed: Side = { name: 'relay', target: { ...plain, url: relay.url + path }, pid: relay.pid }
    const found: Asks[] = []
    for (const server of ['legacy', 'modern'] as const) {
      const target = await gateway.target(`asking-${server}`, 'legacy', ask(`asking-${server}`))
      await gateway.listed(target, 30)
      const side: Side = { name: 'gateway', target, pid: gateway.pid }
      const sides = server === 'legacy' ? [direct, relayed, side] : [relayed, side]
      found.push({ server, users, rows: await compare(load, sides, 'ask', users, pace) })
    }
    return found
  } finally {
    await relay.close()
  }
}
