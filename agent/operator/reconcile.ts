// One turn for one resource: observe → plan → apply → status. Everything that is special about a kind is in its planner.
// Order matters: finalizers before objects, keys before what mounts them, objects before the status that speaks of them; nothing is
// deleted unless all that shall exist could be written.

import type { Kind } from '../../crds/kinds.ts'
import { NameConflictError, type Applier } from '../kube/apply.ts'
import type { KubeClient } from '../kube/client.ts'
import type { Turn } from '../kube/controller.ts'
import { isForbidden, isNotFound, isRejected, KubeError } from '../kube/error.ts'
import type { EventRecorder } from '../kube/event.ts'
import type { Informer } from '../kube/informer.ts'
import { TYPES, type KubeObject, type OwnerReference, type ResourceType } from '../kube/object.ts'
import { controllerOf, controllerReference } from '../kube/owner.ts'
import { makeKey } from './keys.ts'
import { workload } from './kinds/server-health.ts'
import { keysOf } from './kinds/trust.ts'
import type { KeyDraft, Observed, Plan, Planner } from './kind.ts'
import { names } from './label.ts'
import { composeStatus, invalidStatus, readConditions, type Failure, type StatusDraft } from './status.ts'
import { claim } from './takeover.ts'
import type { ReadConfigMap } from './texts.ts'
import type { Entry, State } from './world.ts'

/** Finalizers that are ours to add and to take away; everybody else's stay. */
const OURS = /(^|\.)(toolhive\.stacklok\.(dev|io)|waggle\.dev)\//

export interface ReconcilerOptions {
  readonly state: State
  readonly planners: ReadonlyMap<Kind, Planner>
  /** Fenced: it writes only while this process leads. */
  readonly client: KubeClient
  readonly applier: Applier
  readonly events: EventRecorder
  readonly types: ReadonlyMap<Kind, ResourceType>
  /** Informers of what resources own, indexed by `controller`. */
  readonly owned: readonly Informer[]
  readonly configMap: ReadConfigMap
}

export class Reconciler {
  readonly #options: ReconcilerOptions
  /** The status that was written for a resource as it was seen, until it is seen otherwise. */
  readonly #reported = new WeakMap<KubeObject, Readonly<Record<string, unknown>>>()

  constructor(options: ReconcilerOptions) {
    this.#options = options
  }

  /** `key` is `Kind/namespace/name`. */
  async reconcile(key: string, turn: Turn): Promise<{ requeueAfterMs?: number | undefined } | void> {
    const entry = this.#options.state.entry(key)
    if (entry === undefined) return undefined
    const { observed, raw } = entry
    if (observed === undefined) return this.#invalid(entry, turn)
    const planner = this.#options.planners.get(observed.resource.kind)
    if (planner === undefined) return undefined
    await this.#options.state.texts.fill(this.#options.configMap)
    const { plan, error } = await this.#plan(planner, observed, raw, turn)
    if (await this.#finalize(plan, observed, raw, turn)) return undefined
    const failed = observed.deleting ? undefined : (error ?? (await this.#apply(plan, raw, turn)))
    const failure = failed === undefined ? undefined : explain(failed)
    await this.#report(entry, plan, failure, turn)
    if (failed !== undefined && failure?.stalled !== true) throw failed
    return { requeueAfterMs: plan.againMs }
  }

  /** Plans; makes the keys that the plan misses or that were lost, and plans again. The error says why a key could not be made. */
  async #plan(
    planner: Planner,
    observed: Observed,
    raw: KubeObject,
    turn: Turn,
  ): Promise<{ readonly plan: Plan; readonly error?: unknown }> {
    const { state } = this.#options
    const plan = planner.plan(observed, state.world(turn.now))
    if (observed.deleting) return { plan }
    try {
      const keys = [...plan.keys, ...(await this.#lostKeys(raw, turn))]
      if (keys.length === 0) return { plan }
      for (const draft of keys) await this.#makeKey(draft, raw, turn)
    } catch (error) {
      turn.signal.throwIfAborted()
      return { plan, error }
    }
    return { plan: planner.plan(observed, state.world(turn.now)) }
  }

  /**
   * Keys whose Secrets somebody deleted. To read Secrets is no right of the operator's, but a rehearsal of making one tells whether its name
   * is taken. Asked only while pods do not come up.
   */
  async #lostKeys(raw: KubeObject, turn: Turn): Promise<KeyDraft[]> {
    const { namespace = '', name, uid = '' } = raw.metadata
    const world = this.#options.state.world(turn.now)
    const known = world.object('ConfigMap', namespace, names.keys(name))
    const deployment = world.object('Deployment', namespace, name)
    if (known === undefined || controllerOf(known)?.uid !== uid || deployment === undefined) return []
    const { wanted, ready } = workload(deployment)
    if (ready >= wanted) return []
    const lost: KeyDraft[] = []
    for (const purpose of ['signing', 'sealing'] as const) {
      const secret = keysOf(world, namespace, name).secrets[purpose]
      if (secret === undefined) continue
      const rehearsed = { apiVersion: 'v1', kind: 'Secret', metadata: { name: secret, namespace } }
      try {
        await this.#options.client.create(rehearsed, TYPES.Secret, { dryRun: true, signal: turn.signal })
        lost.push({ purpose })
      } catch (error) {
        if (!(error instanceof KubeError)) throw error
      }
    }
    return lost
  }

  async #makeKey(draft: KeyDraft, raw: KubeObject, turn: Turn): Promise<void> {
    const { state, client, applier } = this.#options
    const { namespace = '', name, uid = '' } = raw.metadata
    const known = state.world(turn.now).object('ConfigMap', namespace, names.keys(name))
    // Never adopted: what somebody else wrote there would be trusted as ours. And no Secret is made that nothing would name.
    if (known !== undefined && controllerOf(known)?.uid !== uid) throw new NameConflictError(known)
    const reference = controllerReference(raw)
    const made = await makeKey(draft, { namespace, name }, known?.data)
    await client.create(owned(made.secret, reference), TYPES.Secret, { signal: turn.signal })
    const configMap = owned(made.configMap, reference)
    const applied = await applier.apply(configMap, { signal: turn.signal })
    state.wroteKeys(applied.outcome === 'applied' ? { ...configMap, metadata: applied.object.metadata } : configMap)
  }

  /** True when the resource is released: nothing is left to be done for it. */
  async #finalize(plan: Plan, observed: Observed, raw: KubeObject, turn: Turn): Promise<boolean> {
    const foreign = observed.finalizers.filter((finalizer) => !OURS.test(finalizer))
    const ours = observed.finalizers.filter((finalizer) => OURS.test(finalizer))
    // The API server refuses new finalizers once deletion has begun.
    const wanted = observed.deleting ? plan.finalizers.filter((one) => ours.includes(one)) : plan.finalizers
    const same = wanted.length === ours.length && wanted.every((finalizer) => ours.includes(finalizer))
    if (!same) {
      const { name, namespace, resourceVersion } = raw.metadata
      const finalizers = [...foreign, ...wanted]
      await this.#options.client
        .patch(
          { type: this.#typeOf(raw), name, namespace },
          { metadata: { resourceVersion, finalizers } },
          { manager: 'waggle-finalizer', signal: turn.signal },
        )
        .catch((error: unknown) => {
          if (!isNotFound(error)) throw error
        })
    }
    return observed.deleting && wanted.length === 0
  }

  /** Writes and prunes; returns what went wrong. */
  async #apply(plan: Plan, raw: KubeObject, turn: Turn): Promise<unknown> {
    const { applier, state } = this.#options
    const reference = controllerReference(raw)
    try {
      for (const object of plan.objects) {
        if (state.settings.takeOver) await this.#claim(object, reference, turn)
        const applied = await applier.apply(owned(object, reference), { signal: turn.signal })
        if (applied.outcome === 'applied') state.wrote(applied.object)
      }
      if (plan.keep !== true) await this.#prune(plan, raw, turn)
      return undefined
    } catch (error) {
      turn.signal.throwIfAborted()
      return error
    }
  }

  /** Takes over an object that ToolHive made. */
  async #claim(desired: KubeObject, reference: OwnerReference, turn: Turn): Promise<void> {
    const { state, owned: informers, client } = this.#options
    const { name, namespace = '' } = desired.metadata
    const existing = state.world(turn.now).object(desired.kind, namespace, name)
    const type = informers.find((informer) => informer.type.kind === desired.kind)?.type
    if (existing !== undefined && type !== undefined)
      await claim(client, type, existing, desired, reference, turn.signal)
  }

  async #prune(plan: Plan, raw: KubeObject, turn: Turn): Promise<void> {
    const { uid = '', name } = raw.metadata
    const wanted = new Set(plan.objects.map((object) => `${object.kind} ${object.metadata.name}`))
    wanted.add(`ConfigMap ${names.keys(name)}`)
    for (const informer of this.#options.owned) {
      for (const object of informer.byIndex('controller', uid)) {
        const { metadata, kind } = object
        if (wanted.has(`${kind} ${metadata.name}`) || metadata.deletionTimestamp !== undefined) continue
        await this.#options.client
          .delete(
            { type: informer.type, name: metadata.name, namespace: metadata.namespace },
            { preconditions: { uid: metadata.uid }, signal: turn.signal },
          )
          .catch((error: unknown) => {
            if (!isNotFound(error)) throw error
          })
      }
    }
  }

  async #invalid(entry: Entry, turn: Turn): Promise<void> {
    const { raw, problems } = entry
    // What cannot be read must still be deletable: whatever our finalizers would have waited for is not known any more.
    const { deletionTimestamp, finalizers = [], name, namespace, resourceVersion } = raw.metadata
    if (deletionTimestamp !== undefined) {
      const foreign = finalizers.filter((finalizer) => !OURS.test(finalizer))
      if (foreign.length === finalizers.length) return
      const patch = { metadata: { resourceVersion, finalizers: foreign } }
      await this.#options.client.patch({ type: this.#typeOf(raw), name, namespace }, patch, { signal: turn.signal })
      return
    }
    const previous = (raw.status ?? {}) as Readonly<Record<string, unknown>>
    await this.#write(raw, { ...invalidStatus(previous, problems), generation: raw.metadata.generation ?? 0 }, turn)
  }

  async #report(entry: Entry, plan: Plan, failure: Failure | undefined, turn: Turn): Promise<void> {
    const { observed, raw } = entry
    if (observed === undefined) return
    const { generation, warnings } = observed
    const { conditions, status: fields } = plan
    await this.#write(raw, { generation, conditions, fields, warnings, failure }, turn)
    for (const event of plan.events) this.#options.events.record(raw, event)
  }

  async #write(raw: KubeObject, draft: StatusDraft, turn: Turn): Promise<void> {
    const { apiVersion, kind, metadata } = raw
    const { name, namespace } = metadata
    // What was just written may not be seen yet: with the times of an older status the same would be written again.
    const previous = this.#reported.get(raw) ?? ((raw.status ?? {}) as Readonly<Record<string, unknown>>)
    const status = composeStatus(draft, previous, turn.now)
    const desired: KubeObject = {
      apiVersion,
      kind,
      metadata: { name, ...(namespace !== undefined && { namespace }) },
      status,
    }
    try {
      const { outcome } = await this.#options.applier.applyStatus(desired, { signal: turn.signal })
      if (outcome === 'applied') this.#reported.set(raw, status)
    } catch (error) {
      if (!isNotFound(error)) throw error
    }
    this.#tell(raw, previous, status)
  }

  /** Events for what people wait for: it is ready, or it will not be by itself. */
  #tell(raw: KubeObject, previous: Readonly<Record<string, unknown>>, status: Readonly<Record<string, unknown>>): void {
    const find = (of: Readonly<Record<string, unknown>>, type: string) =>
      readConditions(of).find((condition) => condition.type === type)
    for (const [type, severity] of [
      ['Ready', 'Normal'],
      ['Stalled', 'Warning'],
    ] as const) {
      const now = find(status, type)
      const before = find(previous, type)
      if (now?.status !== 'True' || (before?.status === 'True' && before.reason === now.reason)) continue
      this.#options.events.record(raw, { type: severity, reason: now.reason, message: now.message })
    }
  }

  #typeOf(raw: KubeObject): ResourceType {
    const type = this.#options.types.get(raw.kind as Kind)
    if (type === undefined) throw new TypeError(`no type for ${raw.kind}`)
    return type
  }
}

function owned(object: KubeObject, reference: ReturnType<typeof controllerReference>): KubeObject {
  return { ...object, metadata: { ...object.metadata, ownerReferences: [reference] } }
}

/** What the owner of a resource can do about an error, if anything. */
function explain(error: unknown): Failure {
  if (error instanceof NameConflictError) return { reason: 'NameConflict', message: error.message, stalled: true }
  if (isRejected(error) && error instanceof KubeError) {
    return { reason: 'Rejected', message: `the API server refuses an object: ${error.message}`, stalled: true }
  }
  // Quotas, and namespaces that go away: it may pass.
  if (isForbidden(error) && error instanceof KubeError)
    return { reason: 'Forbidden', message: error.message, stalled: false }
  return { reason: 'ApplyFailed', message: 'the API server could not be written to; trying again', stalled: false }
}
