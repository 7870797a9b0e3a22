// What the runtime counts, for Prometheus. Labels are types, verbs and controllers only: never names of objects.

import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { ControllerMetrics, TurnResult } from './controller.ts'
import type { Informer, InformerMetrics } from './informer.ts'
import { typeName } from './object.ts'
import type { ClientMetrics } from './requester.ts'

const SECONDS = [0.005, 0.02, 0.1, 0.5, 2, 10, 60]

export class KubeMetrics implements ClientMetrics, ControllerMetrics, InformerMetrics {
  readonly registry: Registry
  readonly #requests: Counter<'verb' | 'code'>
  readonly #reflectors: Counter<'type' | 'what'>
  readonly #turns: Counter<'controller' | 'result'>
  readonly #seconds: Histogram<'controller'>
  readonly #waits: Histogram<'controller'>
  readonly #depth: Gauge<'controller'>
  readonly #leader: Gauge
  readonly #informers: Informer[] = []

  constructor(registry = new Registry()) {
    this.registry = registry
    const registers = [registry]
    this.#requests = new Counter({
      name: 'waggle_kube_requests_total',
      help: 'Requests to the API server; code 0: no answer.',
      labelNames: ['verb', 'code'],
      registers,
    })
    this.#reflectors = new Counter({
      name: 'waggle_kube_reflector_total',
      help: 'Lists, watches, expired versions and failures.',
      labelNames: ['type', 'what'],
      registers,
    })
    this.#turns = new Counter({
      name: 'waggle_reconcile_total',
      help: 'Turns of reconcile by how they ended.',
      labelNames: ['controller', 'result'],
      registers,
    })
    this.#seconds = new Histogram({
      name: 'waggle_reconcile_seconds',
      help: 'How long turns took.',
      labelNames: ['controller'],
      buckets: SECONDS,
      registers,
    })
    this.#waits = new Histogram({
      name: 'waggle_workqueue_wait_seconds',
      help: 'How long keys waited for a worker.',
      labelNames: ['controller'],
      buckets: SECONDS,
      registers,
    })
    this.#depth = new Gauge({
      name: 'waggle_workqueue_depth',
      help: 'Keys that wait for a worker.',
      labelNames: ['controller'],
      registers,
    })
    this.#leader = new Gauge({ name: 'waggle_leader', help: '1 while this process leads.', registers })
    this.#show('waggle_kube_objects', 'Objects held in memory.', (informer) => informer.size)
    this.#show(
      'waggle_kube_watch_idle_seconds',
      'Since a type was last tried or heard of.',
      (informer) => informer.idleMs() / 1_000,
    )
  }

  /** A gauge that asks the informers when it is read. */
  #show(name: string, help: string, read: (informer: Informer) => number): void {
    const informers = this.#informers
    const gauge = new Gauge({
      name,
      help,
      labelNames: ['type'],
      registers: [],
      collect() {
        for (const informer of informers) this.set({ type: typeName(informer.type) }, read(informer))
      },
    })
    this.registry.registerMetric(gauge)
  }

  request(verb: string, status: number): void {
    this.#requests.inc({ verb, code: String(status) })
  }

  reflector(type: string, what: 'list' | 'watch' | 'expired' | 'error'): void {
    this.#reflectors.inc({ type, what })
  }

  turn(controller: string, result: TurnResult, seconds: number, waitedSeconds: number): void {
    this.#turns.inc({ controller, result })
    this.#seconds.observe({ controller }, seconds)
    this.#waits.observe({ controller }, waitedSeconds)
  }

  depth(controller: string, depth: number): void {
    this.#depth.set({ controller }, depth)
  }

  leads(leads: boolean): void {
    this.#leader.set(leads ? 1 : 0)
  }

  /** Shows how much an informer holds and how long it has been quiet. */
  observe(informer: Informer): void {
    this.#informers.push(informer)
  }
}
