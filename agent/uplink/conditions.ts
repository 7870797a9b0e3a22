// Writes `EdgeRegistered` into the status of every resource that it concerns, while this replica leads: only this one condition, under a
// field manager of its own, and only where it differs from what stands there.

import { Controller, type ControllerMetrics } from '../kube/controller.ts'
import type { KubeClient } from '../kube/client.ts'
import { findCondition, setCondition, type Condition, type NewCondition } from '../kube/condition.ts'
import { isNotFound } from '../kube/error.ts'
import type { Fence } from '../kube/fence.ts'
import type { KubeObject } from '../kube/object.ts'
import { resourceTypes, type Cluster } from './cluster.ts'
import { conditionOf, EDGE_REGISTERED } from './condition.ts'
import type { Report } from './publisher.ts'

const MANAGER = 'waggle-uplink'
const WORKERS = 4
/** An edge that was not heard of for this long lists things as offline, or does not: it cannot be known. */
const AWAY_MS = 45_000
/** How long an informer may lag behind a write of ours. */
const LAG_MS = 10_000

export interface ConditionsHost {
  readonly client: KubeClient
  readonly cluster: Cluster
  readonly fence: Fence
  readonly metrics?: ControllerMetrics
  readonly onError?: (what: string, error: unknown) => void
}

/** Of one leader's time. */
export class Conditions {
  readonly #host: ConditionsHost
  readonly #client: KubeClient
  readonly #controller: Controller
  readonly #written = new Map<string, { readonly text: string; readonly until: number }>()
  #report: Report | undefined
  #isAway = false
  #silence: NodeJS.Timeout | undefined

  constructor(host: ConditionsHost, isLinked: boolean) {
    this.#host = host
    this.#client = host.client.fenced(host.fence)
    const { metrics, onError } = host
    this.#controller = new Controller({
      name: 'edge-registered',
      workers: WORKERS,
      reconcile: (key, { signal, now }) => this.#write(key, signal, now),
      ...(metrics !== undefined && { metrics }),
      ...(onError !== undefined && { onError }),
    })
    this.#controller.start()
    if (!isLinked) this.lost()
    this.#all()
  }

  /** The edge said what it lists. */
  registered(report: Report): void {
    this.#report = report
    this.#all()
  }

  linked(): void {
    clearTimeout(this.#silence)
    this.#silence = undefined
    if (!this.#isAway) return
    this.#isAway = false
    // What it lists now it will say.
    this.#report = undefined
  }

  /** There is no connection. Resources hear of it when that lasts. */
  lost(): void {
    this.#silence ??= setTimeout(() => {
      this.#isAway = true
      this.#all()
    }, AWAY_MS)
    this.#silence.unref()
  }

  /** A resource is different. */
  touched(key: string): void {
    this.#controller.queue.add(key)
  }

  async stop(): Promise<void> {
    clearTimeout(this.#silence)
    await this.#controller.stop()
  }

  #all(): void {
    for (const [key] of this.#host.cluster.entries()) this.#controller.queue.add(key)
  }

  async #write(key: string, signal: AbortSignal, now: number): Promise<{ requeueAfterMs?: number }> {
    const { cluster } = this.#host
    const entry = cluster.entry(key)
    const type = entry === undefined ? undefined : resourceTypes.get(entry.seen.kind)
    if (entry === undefined || type === undefined || entry.raw.metadata.deletionTimestamp !== undefined) return {}
    const wanted = conditionOf(entry.seen, {
      withheld: cluster.withheld(entry.seen),
      report: this.#report,
      isAway: this.#isAway,
    })
    const before = findCondition(conditionsOf(entry.raw), EDGE_REGISTERED)
    if (wanted === undefined || (before !== undefined && textOf(before) === textOf(wanted))) return {}
    const written = this.#written.get(key)
    const lagMs = written?.text === textOf(wanted) ? written.until - performance.now() : 0
    if (lagMs > 0) return { requeueAfterMs: lagMs }
    const { apiVersion, kind, metadata } = entry.raw
    const conditions = setCondition(before === undefined ? [] : [before], wanted, now)
    const { name, namespace, uid } = metadata
    const object: KubeObject = {
      apiVersion,
      kind,
      // Of another object of this name nothing is known.
      metadata: { name, ...(namespace !== undefined && { namespace }), ...(uid !== undefined && { uid }) },
      status: { conditions },
    }
    try {
      await this.#client.applyStatus(object, type, { manager: MANAGER, signal })
      this.#written.set(key, { text: textOf(wanted), until: performance.now() + LAG_MS })
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    return {}
  }
}

function conditionsOf({ status }: KubeObject): readonly Condition[] {
  const conditions = (status as { conditions?: unknown } | undefined)?.conditions
  return Array.isArray(conditions) ? (conditions as Condition[]) : []
}

/** Everything but when it flipped. */
function textOf({ status, reason, message, observedGeneration }: NewCondition): string {
  return JSON.stringify([status, reason, message, observedGeneration])
}
