// What an uplink counts, for Prometheus. Labels are outcomes and states only: never names, and nothing that a caller can invent.

import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { CallOutcome } from './carrier.ts'

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export interface Observed {
  readonly links: () => number
  readonly calls: () => number
  /** Number of the snapshot that was published last; 0 while another replica publishes. */
  readonly seq: () => number
  /** Catalogs by whether their proxy could be asked. */
  readonly catalogs: () => ReadonlyMap<string, number>
}

export class UplinkMetrics {
  readonly #calls: Counter<'result'>
  readonly #seconds: Histogram
  readonly #ping: Histogram
  readonly #lost: Counter
  readonly #dropped: Gauge<'reason'>

  constructor(registry: Registry, observed: Observed) {
    const registers = [registry]
    this.#calls = new Counter({
      name: 'waggle_uplink_calls_total',
      help: 'Calls from the edge by how they went; answered: with whatever the proxy said.',
      labelNames: ['result'],
      registers,
    })
    this.#seconds = new Histogram({
      name: 'waggle_uplink_call_seconds',
      help: 'Time from a call to the beginning of its answer.',
      buckets: BUCKETS,
      registers,
    })
    this.#ping = new Histogram({
      name: 'waggle_uplink_ping_seconds',
      help: 'Time from a ping to its answer by the edge.',
      buckets: BUCKETS,
      registers,
    })
    this.#lost = new Counter({
      name: 'waggle_uplink_lost_total',
      help: 'Times that there was no connection to the edge any more, or none came about.',
      registers,
    })
    this.#dropped = new Gauge({
      name: 'waggle_uplink_dropped',
      help: 'Published resources that the edge does not list.',
      labelNames: ['reason'],
      registers,
    })
    const show = (name: string, help: string, read: () => number): void => {
      const gauge = new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(read())
        },
      })
      registry.registerMetric(gauge)
    }
    show('waggle_uplink_links', 'Connections to the edge.', observed.links)
    show('waggle_uplink_calls', 'Calls under way.', observed.calls)
    show('waggle_uplink_snapshot_seq', 'Number of the last snapshot under the present epoch.', observed.seq)
    const catalogs = new Gauge({
      name: 'waggle_uplink_catalogs',
      help: 'Proxies whose catalog is followed, by whether they could be asked.',
      labelNames: ['state'],
      registers: [],
      collect() {
        this.reset()
        for (const [state, count] of observed.catalogs()) this.set({ state }, count)
      },
    })
    registry.registerMetric(catalogs)
  }

  call({ result, seconds }: CallOutcome): void {
    this.#calls.inc({ result })
    if (result === 'answered') this.#seconds.observe(seconds)
  }

  ping(seconds: number): void {
    this.#ping.observe(seconds)
  }

  lost(): void {
    this.#lost.inc()
  }

  /** Reasons of everything that the edge does not list. */
  dropped(reasons: readonly string[]): void {
    this.#dropped.reset()
    for (const reason of reasons) this.#dropped.inc({ reason })
  }
}
