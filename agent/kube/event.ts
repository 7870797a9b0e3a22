// Events (events.k8s.io/v1) about objects: what happened once is told once. The same reason for the same object is
// written at most once a minute, as a count in the event that is there. Telling never fails and never waits.

import { randomUUID } from 'node:crypto'
import type { KubeClient } from './client.ts'
import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'
import { isNotFound } from './error.ts'
import { microTime } from './leader.ts'
import type { KubeObject } from './object.ts'
import { TYPES } from './object.ts'

const PERIOD_MS = 60_000
/** (object, reason) pairs remembered, and events under way: more than that is a storm nobody reads. */
const MAX_REMEMBERED = 2_000
const MAX_UNDER_WAY = 100
/** The server's bounds. */
const MAX_NOTE = 1_024
const MAX_REASON = 128
const MAX_PREFIX = 200

export interface RecorderOptions {
  /** Qualified, such as `waggle.dev/operator`. */
  readonly controller: string
  /** This process. */
  readonly instance: string
  readonly clock?: Clock
  readonly onError?: (error: unknown) => void
}

export interface Happening {
  readonly type: 'Normal' | 'Warning'
  /** CamelCase, why. */
  readonly reason: string
  /** CamelCase, what was being done; `Reconcile` when not given. */
  readonly action?: string
  readonly message: string
}

interface Told {
  /** Of the event on the server, once it is there. */
  readonly name: string
  readonly note: string
  readonly at: number
  count: number
}

export class EventRecorder {
  readonly #client: KubeClient
  readonly #options: RecorderOptions
  readonly #clock: Clock
  readonly #told = new Map<string, Told>()
  #underWay = 0

  constructor(client: KubeClient, options: RecorderOptions) {
    this.#client = client
    this.#options = options
    this.#clock = options.clock ?? systemClock
  }

  /** Tells that something happened to an object. Returns at once; what fails is reported and forgotten. */
  record(object: KubeObject, happening: Happening): void {
    const id = `${object.metadata.uid ?? object.metadata.name} ${happening.reason}`
    const note = happening.message.slice(0, MAX_NOTE)
    const told = this.#told.get(id)
    const now = this.#clock.monotonic()
    if (told !== undefined) told.count += 1
    if (told !== undefined && now - told.at < PERIOD_MS) return
    if (this.#underWay >= MAX_UNDER_WAY) return
    const again = told?.note === note
    const name = again ? told.name : `${object.metadata.name.slice(0, MAX_PREFIX)}.${randomUUID()}`
    const next: Told = { name, note, at: now, count: again ? told.count : 1 }
    this.#remember(id, next)
    void this.#tell(object, happening, next, again)
  }

  #remember(id: string, told: Told): void {
    this.#told.delete(id)
    this.#told.set(id, told)
    if (this.#told.size <= MAX_REMEMBERED) return
    const oldest = this.#told.keys().next()
    if (oldest.done !== true) this.#told.delete(oldest.value)
  }

  async #tell(object: KubeObject, happening: Happening, told: Told, again: boolean): Promise<void> {
    this.#underWay += 1
    try {
      if (again && (await this.#count(object, told))) return
      await this.#client.create(this.#event(object, happening, told), TYPES.Event)
    } catch (error) {
      this.#options.onError?.(error)
    } finally {
      this.#underWay -= 1
    }
  }

  /** False when the event is not there any more: they live an hour. */
  async #count(object: KubeObject, told: Told): Promise<boolean> {
    const reference = { type: TYPES.Event, name: told.name, namespace: namespaceOf(object) }
    const series = { count: told.count, lastObservedTime: microTime(this.#clock.wall()) }
    try {
      await this.#client.patch(reference, { series })
      return true
    } catch (error) {
      if (isNotFound(error)) return false
      throw error
    }
  }

  #event(object: KubeObject, happening: Happening, told: Told): KubeObject {
    const { name, namespace, uid, resourceVersion } = object.metadata
    return {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name: told.name, namespace: namespaceOf(object) },
      eventTime: microTime(this.#clock.wall()),
      reportingController: this.#options.controller,
      reportingInstance: this.#options.instance.slice(0, MAX_REASON),
      action: (happening.action ?? 'Reconcile').slice(0, MAX_REASON),
      reason: happening.reason.slice(0, MAX_REASON),
      type: happening.type,
      note: told.note,
      regarding: {
        apiVersion: object.apiVersion,
        kind: object.kind,
        name,
        ...(namespace !== undefined && { namespace }),
        ...(uid !== undefined && { uid }),
        ...(resourceVersion !== undefined && { resourceVersion }),
      },
    }
  }
}

/** Events about cluster-scoped objects are kept in `default`. */
function namespaceOf(object: KubeObject): string {
  return object.metadata.namespace ?? 'default'
}
