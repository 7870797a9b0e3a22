// The operator as a whole: informers feed a state, changes of the state feed one queue of `Kind/namespace/name`, and workers turn each
// key into objects and a status. All replicas watch; one leads and writes.

import type { Kind } from '../../crds/kinds.ts'
import { Applier } from '../kube/apply.ts'
import type { KubeClient } from '../kube/client.ts'
import { Controller, type ControllerMetrics } from '../kube/controller.ts'
import { EventRecorder } from '../kube/event.ts'
import type { Fence } from '../kube/fence.ts'
import type { Informer, InformerMetrics } from '../kube/informer.ts'
import { TYPES, type KubeObject } from '../kube/object.ts'
import { isNotFound } from '../kube/error.ts'
import { makeInformers, resourceTypes, type Informers } from './informers.ts'
import { planners } from './planners.ts'
import { Reconciler } from './reconcile.ts'
import type { Settings } from './settings.ts'
import { adoption } from './takeover.ts'
import { ownerKey, State } from './world.ts'

export const MANAGER = 'waggle'
const WORKERS = 12

export interface OperatorOptions {
  readonly client: KubeClient
  readonly settings: Settings
  /** This process, in events. */
  readonly instance: string
  readonly metrics?: ControllerMetrics & InformerMetrics
  /** Something went wrong that will be tried again; `what` is a type or a key. */
  readonly onError?: (what: string, error: unknown) => void
}

export class Operator {
  readonly informers: Informers
  readonly #options: OperatorOptions
  readonly #state: State
  #controller: Controller | undefined

  constructor(options: OperatorOptions) {
    this.#options = options
    const { client, settings, metrics, onError } = options
    this.informers = makeInformers(client, settings, {
      ...(metrics !== undefined && { metrics }),
      onError: (error) => onError?.('watch', error),
      reads: (namespace, name) => this.#state.reads(namespace, name),
    })
    this.#state = new State(settings, [...planners.values()], this.informers.objects)
    this.#feed()
  }

  /** Begins to watch. Resolves when everything has been read once; rejects when the signal aborts before. */
  async watch(signal: AbortSignal): Promise<void> {
    for (const informer of this.informers.all) informer.start(signal)
    await Promise.all(this.informers.all.map((informer) => informer.synced()))
  }

  /** Begins to write, under the fence, after `watch`. Every resource is looked at once. */
  lead(fence: Fence): void {
    const { settings, instance, metrics, onError } = this.#options
    const client = this.#options.client.fenced(fence)
    const applier = new Applier(client, {
      manager: MANAGER,
      informers: this.informers.all,
      adopt: adoption(settings),
    })
    const reconciler = new Reconciler({
      state: this.#state,
      planners,
      client,
      applier,
      events: new EventRecorder(client, {
        controller: 'waggle.dev/operator',
        instance,
        onError: (error) => onError?.('event', error),
      }),
      types: resourceTypes,
      owned: this.informers.owned,
      configMap: (namespace, name) => this.#configMap(namespace, name),
    })
    const controller = new Controller({
      name: 'operator',
      workers: WORKERS,
      reconcile: (key, turn) => reconciler.reconcile(key, turn),
      ...(metrics !== undefined && { metrics }),
      onError: (key, error) => onError?.(key, error),
    })
    this.#controller = controller
    for (const key of this.#state.keys) controller.queue.add(key)
    controller.start()
  }

  /** Finishes what is in hand. */
  async stop(): Promise<void> {
    await this.#controller?.stop()
  }

  async #configMap(namespace: string, name: string): Promise<KubeObject | undefined> {
    const { client } = this.#options
    try {
      const object = await client.get({ type: TYPES.ConfigMap, namespace, name })
      return this.informers.objects.get('ConfigMap')?.reduce(object)
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  #feed(): void {
    for (const [kind, informer] of this.informers.resources) this.#feedResources(kind, informer)
    for (const informer of this.informers.objects.values()) {
      const { kind } = informer.type
      informer.onChange((old, next) => {
        for (const object of [old, next]) if (object !== undefined) this.#touch(object, kind)
      })
    }
  }

  #feedResources(kind: Kind, informer: Informer): void {
    informer.onChange((old, next) => this.#add(this.#state.change(kind, old, next, this.#controller !== undefined)))
  }

  #touch(object: KubeObject, kind: string): void {
    this.#state.saw(object)
    // Until this process leads nobody works; leading begins with every key.
    if (this.#controller === undefined) return
    const owner = ownerKey(object, (key) => this.#state.entry(key) !== undefined)
    const { namespace = '', name } = object.metadata
    if (kind === 'ConfigMap') this.#add(this.#state.changeOfConfigMap(namespace, name, owner))
    else if (kind === 'Secret') this.#add(this.#state.usersOfSecret(namespace, name))
    else if (owner !== undefined) this.#add([owner])
  }

  #add(keys: Iterable<string>): void {
    for (const key of keys) this.#controller?.queue.add(key)
  }
}
