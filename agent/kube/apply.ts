// Server-side apply that costs nothing when nothing changed: what was last wanted is remembered as a hash, what the
// server made of it as a mark, and as long as both hold no request is made. An edit by somebody else moves the mark.
// Objects that belong to somebody else are never taken over in silence.

import { hash } from 'node:crypto'
import type { KubeClient } from './client.ts'
import type { Clock } from './clock.ts'
import { systemClock } from './clock.ts'
import { isNotFound, TerminalError } from './error.ts'
import type { Informer } from './informer.ts'
import type { KubeObject, ResourceType } from './object.ts'
import { keyOf } from './object.ts'
import { controllerOf } from './owner.ts'

/** How long an informer may lag behind a write of ours before its silence counts as a change. */
const LAG_MS = 10_000
const ABSENT = 'absent'

export interface ApplierOptions {
  /** The field manager; status gets one of its own. */
  readonly manager: string
  /** Where objects of a type are seen. Types without informer are written each time. */
  readonly informers: readonly Informer[]
  /** Whether an object that has another controller, or none, may be taken over. Default: never. */
  readonly adopt?: (existing: KubeObject, desired: KubeObject) => boolean
  readonly clock?: Clock
}

/** `unchanged`: no request was made. */
export type Applied = { readonly outcome: 'unchanged' } | { readonly outcome: 'applied'; readonly object: KubeObject }

/** Another's object has the name that ours needs. */
export class NameConflictError extends TerminalError {
  readonly object: KubeObject

  constructor(object: KubeObject) {
    const owner = controllerOf(object)
    const whose = owner === undefined ? 'nobody that this operator knows' : `${owner.kind} "${owner.name}"`
    super(`${object.kind} "${object.metadata.name}" exists and belongs to ${whose}: rename or delete it`)
    this.object = object
  }
}

interface Written {
  /** Of the object we wrote. */
  readonly uid: string | undefined
  readonly hash: string
  readonly mark: string
  /** What the informer still showed when we wrote, and until when it may. */
  before: { readonly mark: string; readonly until: number } | undefined
}

export class Applier {
  readonly #client: KubeClient
  readonly #options: ApplierOptions
  readonly #clock: Clock
  readonly #informers = new Map<string, Informer>()
  readonly #written = new Map<string, Written>()

  constructor(client: KubeClient, options: ApplierOptions) {
    this.#client = client
    this.#options = options
    this.#clock = options.clock ?? systemClock
    for (const informer of options.informers) {
      const { apiVersion, kind } = informer.type
      this.#informers.set(`${apiVersion} ${kind}`, informer)
      informer.onChange((_old, next) => this.#seen(kind, _old ?? next, next))
    }
  }

  /** Creates or changes an object of an informed type. Throws a NameConflictError, or what the client throws. */
  async apply(desired: KubeObject, options: { signal?: AbortSignal } = {}): Promise<Applied> {
    const informer = this.#informer(desired)
    const id = `${desired.kind} ${keyOf(desired)}`
    const wanted = fingerprint(desired)
    const seen = informer.get(desired.metadata.namespace, desired.metadata.name)
    const before = seen === undefined ? ABSENT : mark(seen)
    const written = this.#written.get(id)
    if (this.#holds(written, wanted, before)) return { outcome: 'unchanged' }
    // What we wrote is ours, even when somebody took its owner from it.
    if (written?.uid === undefined || written.uid !== seen?.metadata.uid) {
      await this.#claim(desired, informer, seen, options.signal)
    }
    const { manager } = this.#options
    const answer = await this.#client.apply(desired, informer.type, { manager, signal: options.signal })
    const object = informer.reduce(answer)
    this.#written.set(id, {
      uid: object.metadata.uid,
      hash: wanted,
      mark: mark(object),
      before: this.#lag(informer, desired, before),
    })
    return { outcome: 'applied', object }
  }

  /** Writes a status when it differs from the one seen. `desired` holds apiVersion, kind, name, namespace and status only. */
  async applyStatus(desired: KubeObject, options: { signal?: AbortSignal } = {}): Promise<Applied> {
    const informer = this.#informer(desired)
    const id = `${desired.kind}/status ${keyOf(desired)}`
    const wanted = fingerprint(desired.status)
    const seen = informer.get(desired.metadata.namespace, desired.metadata.name)
    const before = statusMark(seen)
    const written = this.#written.get(id)
    if (written === undefined && before === statusMark(desired, seen?.metadata.uid)) return { outcome: 'unchanged' }
    if (this.#holds(written, wanted, before)) return { outcome: 'unchanged' }
    const manager = `${this.#options.manager}-status`
    const object = await this.#client.applyStatus(desired, informer.type, { manager, signal: options.signal })
    const reduced = informer.reduce(object)
    this.#written.set(id, {
      uid: reduced.metadata.uid,
      hash: wanted,
      mark: statusMark(reduced),
      before: this.#lag(informer, desired, before, statusMark),
    })
    return { outcome: 'applied', object: reduced }
  }

  #informer(desired: KubeObject): Informer {
    const informer = this.#informers.get(`${desired.apiVersion} ${desired.kind}`)
    if (informer === undefined) throw new TypeError(`no informer of ${desired.apiVersion} ${desired.kind}`)
    return informer
  }

  #holds(written: Written | undefined, wanted: string, seen: string): boolean {
    if (written === undefined || written.hash !== wanted) return false
    if (written.mark === seen) return true
    return written.before?.mark === seen && this.#clock.monotonic() < written.before.until
  }

  /** The informer shows what it showed when we began: it lags, for a while. */
  #lag(
    informer: Informer,
    desired: KubeObject,
    before: string,
    read: (object: KubeObject) => string = mark,
  ): Written['before'] {
    const now = informer.get(desired.metadata.namespace, desired.metadata.name)
    const shown = now === undefined ? ABSENT : read(now)
    return shown === before ? { mark: before, until: this.#clock.monotonic() + LAG_MS } : undefined
  }

  async #claim(
    desired: KubeObject,
    informer: Informer,
    seen: KubeObject | undefined,
    signal?: AbortSignal,
  ): Promise<void> {
    const known = seen ?? (informer.complete ? undefined : await this.#look(desired, informer.type, signal))
    if (known === undefined) return
    const owner = controllerOf(desired)?.uid
    if (owner !== undefined && controllerOf(known)?.uid === owner) return
    if (this.#options.adopt?.(known, desired) !== true) throw new NameConflictError(known)
  }

  async #look(desired: KubeObject, type: ResourceType, signal?: AbortSignal): Promise<KubeObject | undefined> {
    const { name, namespace } = desired.metadata
    try {
      return await this.#client.get({ type, name, namespace }, { signal, metadataOnly: true })
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  #seen(kind: string, object: KubeObject | undefined, next: KubeObject | undefined): void {
    if (object === undefined) return
    for (const id of [`${kind} ${keyOf(object)}`, `${kind}/status ${keyOf(object)}`]) {
      const written = this.#written.get(id)
      if (written === undefined) continue
      if (next === undefined) this.#written.delete(id)
      else written.before = undefined
    }
  }
}

/**
 * Changes whenever somebody changes what an object asks for. Status moves the resource version but not the generation;
 * metadata moves neither generation, nor is it left out. Types without generation have little status to speak of.
 */
function mark(object: KubeObject): string {
  const { uid, generation, resourceVersion, labels, annotations, ownerReferences, finalizers, deletionTimestamp } =
    object.metadata
  if (generation === undefined) return `${uid} ${resourceVersion}`
  return `${uid} ${generation} ${fingerprint([labels, annotations, ownerReferences, finalizers, deletionTimestamp])}`
}

function statusMark(object: KubeObject | undefined, uid = object?.metadata.uid): string {
  return object === undefined ? ABSENT : `${uid} ${fingerprint(sorted(object.status))}`
}

function fingerprint(value: unknown): string {
  return hash('sha256', JSON.stringify(value) ?? '', 'base64')
}

/** The server sorts the fields of an object; for comparing with what it holds, so do we. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => [name, sorted(field)]),
  )
}
