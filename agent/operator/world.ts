// What the operator sees: resources, parsed once when they change, who names whom, and the objects of the cluster.
// A change comes in, and out go the keys of all resources whose plan may depend on it.

import { allKinds, isKind, type Kind } from '../../crds/kinds.ts'
import { readKind } from '../../crds/cluster.ts'
import type { Problem } from '../../crds/problem.ts'
import { references } from '../../plan/references.ts'
import { resourceKey, type Resource, type Resources } from '../../plan/resources.ts'
import type { Informer } from '../kube/informer.ts'
import { objectKey, type KubeObject } from '../kube/object.ts'
import { configMaps } from './configmaps.ts'
import type { Observed, Planner, World } from './kind.ts'
import { commonConfigMaps, type Settings } from './settings.ts'
import { Texts } from './texts.ts'
import { readConditions } from './status.ts'

export interface Entry {
  readonly key: string
  readonly raw: KubeObject
  /** Undefined: it cannot be read, and `problems` say why. */
  readonly observed: Observed | undefined
  readonly problems: readonly Problem[]
  /** What counts in its place while it cannot be read: what it said may have been a limit. */
  readonly standIn: Resource | undefined
  /** What stands for old forms in its spec; it is there as long as the resource is. */
  readonly derived: readonly Resource[]
}

export class State {
  readonly settings: Settings
  readonly #planners: readonly Planner[]
  readonly #objects: ReadonlyMap<string, Informer>
  readonly #entries = new Map<string, Entry>()
  /** Key of what is named → keys of those that name it. */
  readonly #referrers = new Map<string, Set<string>>()
  /** Objects that were made and are not seen yet. */
  readonly #fresh = new Map<string, KubeObject>()
  /** ConfigMaps of keys that were written and are not seen so yet. */
  readonly #keys = new Map<string, KubeObject>()
  readonly texts = new Texts()
  #resources: Resources | undefined

  /** `objects`: an informer for each built-in kind. */
  constructor(settings: Settings, planners: readonly Planner[], objects: ReadonlyMap<string, Informer>) {
    this.settings = settings
    this.#planners = planners
    this.#objects = objects
  }

  entry(key: string): Entry | undefined {
    return this.#entries.get(key)
  }

  get keys(): Iterable<string> {
    return this.#entries.keys()
  }

  /** Takes in a change of a resource; returns the keys to look at again, or only its own when nobody asked for them. */
  change(kind: Kind, old: KubeObject | undefined, next: KubeObject | undefined, asked = true): ReadonlySet<string> {
    const { name, namespace = '' } = (next ?? old)?.metadata ?? { name: '' }
    const key = resourceKey(kind, namespace, name)
    const before = this.#entries.get(key)
    const after = next === undefined ? undefined : read(kind, key, next, before)
    if (after === undefined) this.#entries.delete(key)
    else this.#entries.set(key, after)
    const keys = new Set([key])
    if (resourceOf(before) !== resourceOf(after)) {
      this.#resources = undefined
      const targets = this.#link(key, before, after)
      if (!asked) return keys
      for (const target of targets) keys.add(target)
      // A policy has no effect of its own: what it is about has, for all who use that.
      this.#spread(kind === 'ToolPolicy' ? [key, ...targets] : [key], keys)
      for (const entry of [before, after]) this.#affect(resourceOf(entry), keys)
    } else if (asked && after !== undefined && signature(before?.raw) !== signature(after.raw)) {
      for (const referrer of this.#referrers.get(key) ?? []) keys.add(referrer)
      this.#affect(after.observed?.resource, keys)
    }
    return keys
  }

  /** The keys of whoever depends on a ConfigMap that is not the operator's, or on one of its owner's. */
  changeOfConfigMap(namespace: string, name: string, owner: string | undefined): ReadonlySet<string> {
    const keys = new Set<string>()
    if (owner !== undefined) {
      keys.add(owner)
      if (name.endsWith('-keys')) this.#affect(this.#entries.get(owner)?.observed?.resource, keys)
    }
    this.#spread([resourceKey('ConfigMap', namespace, name)], keys)
    if (this.#isCommon(namespace, name)) for (const key of this.keys) keys.add(key)
    return keys
  }

  /** The keys of the servers that have this Secret in their environment. */
  usersOfSecret(namespace: string, name: string): ReadonlySet<string> {
    const keys = new Set<string>()
    for (const [key, { observed }] of this.#entries) {
      if (observed?.resource.kind !== 'MCPServer' || observed.resource.metadata.namespace !== namespace) continue
      if (observed.resource.spec.secrets?.some((one) => one.name === name) === true) keys.add(key)
    }
    return keys
  }

  /** An object that was just made counts as seen until its informer shows it. */
  wrote(object: KubeObject): void {
    const { kind, metadata } = object
    if (this.#objects.get(kind)?.get(metadata.namespace, metadata.name) !== undefined) return
    this.#fresh.set(`${kind} ${objectKey(metadata.namespace, metadata.name)}`, object)
  }

  /** A key was added: planning without it would make another, and pods that lack it. `object`: the ConfigMap as it was answered. */
  wroteKeys(object: KubeObject): void {
    const { namespace, name, resourceVersion } = object.metadata
    const seen = this.#objects.get('ConfigMap')?.get(namespace, name)
    if (seen === undefined || seen.metadata.resourceVersion !== resourceVersion)
      this.#keys.set(objectKey(namespace, name), object)
  }

  /** Its informer shows an object. */
  saw({ kind, metadata }: KubeObject): void {
    this.#fresh.delete(`${kind} ${objectKey(metadata.namespace, metadata.name)}`)
    if (kind === 'ConfigMap') this.#keys.delete(objectKey(metadata.namespace, metadata.name))
    // It may have been on its way, without its text, when it was named.
    if (kind === 'ConfigMap') this.#text(resourceKey('ConfigMap', metadata.namespace ?? '', metadata.name))
  }

  world(now: number): World {
    this.#resources ??= new Map(
      [...this.#entries].flatMap(([key, entry]) => {
        const resource = resourceOf(entry)
        const derived = entry.derived.map((one) => [keyOf(one), one] as const)
        return resource === undefined ? [] : [[key, resource] as const, ...derived]
      }),
    )
    const resources = this.#resources
    return {
      settings: this.settings,
      now,
      resources,
      observed: <K extends Kind>(kind: K, namespace: string, name: string) =>
        this.#entries.get(resourceKey(kind, namespace, name))?.observed as
          | Observed<Extract<Resource, { kind: K }>>
          | undefined,
      object: (kind, namespace, name) => {
        const keys = kind === 'ConfigMap' ? this.#keys.get(objectKey(namespace, name)) : undefined
        if (keys !== undefined) return keys
        const seen = this.#objects.get(kind)?.get(namespace, name)
        if (seen === undefined) return this.#fresh.get(`${kind} ${objectKey(namespace, name)}`)
        return kind === 'ConfigMap' ? this.texts.complete(seen) : seen
      },
      pods: (namespace, labels) =>
        (this.#objects.get('Pod')?.byIndex('name', `${namespace}/${labels['toolhive-name'] ?? ''}`) ?? []).filter(
          (pod) => Object.entries(labels).every(([name, value]) => pod.metadata.labels?.[name] === value),
        ),
      referrers: (kind, namespace, name) =>
        [...(this.#referrers.get(resourceKey(kind, namespace, name)) ?? [])].flatMap((key) => resources.get(key) ?? []),
    }
  }

  /** Keeps the index of who names whom; returns the keys of all that were or are named. */
  #link(key: string, before: Entry | undefined, after: Entry | undefined): Set<string> {
    const old = named(resourceOf(before))
    const now = named(resourceOf(after))
    for (const target of old) {
      const found = this.#referrers.get(target)
      found?.delete(key)
      if (found?.size === 0) this.#referrers.delete(target)
    }
    for (const target of now) {
      const found = this.#referrers.get(target)
      if (found === undefined) this.#referrers.set(target, new Set([key]))
      else found.add(key)
    }
    for (const target of new Set([...old, ...now])) this.#text(target)
    return new Set([...old, ...now].filter((target) => this.#entries.has(target)))
  }

  /** Whether plans read the text of a ConfigMap. */
  reads(namespace: string, name: string): boolean {
    return this.#isCommon(namespace, name) || this.#referrers.has(resourceKey('ConfigMap', namespace, name))
  }

  #isCommon(namespace: string, name: string): boolean {
    return namespace === this.settings.namespace && commonConfigMaps(this.settings).includes(name)
  }

  #text(target: string): void {
    const [kind, namespace = '', name = ''] = target.split('/')
    if (kind !== 'ConfigMap') return
    if (this.reads(namespace, name)) this.texts.want(namespace, name, this.#objects.get(kind)?.get(namespace, name))
    else this.texts.forget(namespace, name)
  }

  /** Adds everybody who names one of these, or names somebody who does. */
  #spread(from: readonly string[], keys: Set<string>): void {
    const seen = new Set(from)
    const todo = [...from]
    for (let key = todo.pop(); key !== undefined; key = todo.pop()) {
      for (const referrer of this.#referrers.get(key) ?? []) {
        if (seen.has(referrer)) continue
        seen.add(referrer)
        todo.push(referrer)
        keys.add(referrer)
        this.#affect(this.#entries.get(referrer)?.observed?.resource, keys)
      }
    }
  }

  #affect(changed: Resource | undefined, keys: Set<string>): void {
    if (changed === undefined) return
    const world = this.world(0)
    for (const planner of this.#planners) for (const key of planner.affected?.(changed, world) ?? []) keys.add(key)
  }
}

/** Parses a resource, or keeps what was parsed when nothing that a plan reads is different. */
function read(kind: Kind, key: string, raw: KubeObject, before: Entry | undefined): Entry {
  const { uid = '', generation = 0, deletionTimestamp, finalizers = [] } = raw.metadata
  const status = (raw.status ?? {}) as Readonly<Record<string, unknown>>
  const frame = { uid, generation, deleting: deletionTimestamp !== undefined, finalizers, status }
  if (before !== undefined && identity(before.raw) === identity(raw)) {
    const { observed, problems, standIn, derived } = before
    const next = observed === undefined ? undefined : { ...observed, ...frame }
    return { key, raw, observed: next, problems, standIn, derived }
  }
  const reading = readKind(kind, raw)
  if (!reading.ok) {
    const standIn = kind === 'ToolPolicy' ? shut(raw) : undefined
    return { key, raw, observed: undefined, problems: reading.problems, standIn, derived: [] }
  }
  const { resource, warnings, derived } = reading
  return { key, raw, observed: { resource, warnings, ...frame }, problems: [], standIn: undefined, derived }
}

/**
 * A policy that lets nobody call any tool of its target. One that cannot be read must not leave open what it may have closed; what
 * it is about has been checked by the API server.
 */
function shut({ metadata, spec }: KubeObject): Resource | undefined {
  const { name, namespace } = metadata
  const { targetRef } = (spec ?? {}) as { readonly targetRef?: unknown }
  const policy = { apiVersion: 'waggle.dev/v1alpha1', kind: 'ToolPolicy', metadata: { name, namespace } }
  const reading = readKind('ToolPolicy', { ...policy, spec: { targetRef, rules: [] } })
  if (!reading.ok) return undefined
  const { resource } = reading
  // No group at all is one that nobody is in; a user cannot write that.
  return { ...resource, spec: { ...resource.spec, rules: [{ tools: ['*'], groups: [] }] } }
}

function resourceOf(entry: Entry | undefined): Resource | undefined {
  return entry?.observed?.resource ?? entry?.standIn
}

function keyOf({ kind, metadata }: Resource): string {
  return resourceKey(kind, metadata.namespace, metadata.name)
}

/** Changes with everything but the status. */
function identity({ metadata }: KubeObject): string {
  const { uid, generation, labels, annotations, deletionTimestamp, finalizers } = metadata
  return JSON.stringify([uid, generation, labels, annotations, deletionTimestamp, finalizers])
}

/** What others may read of a status. */
function signature(raw: KubeObject | undefined): string {
  const status = (raw?.status ?? {}) as Readonly<Record<string, unknown>>
  const conditions = readConditions(status)
    .filter(({ type }) => type === 'Ready' || type === 'Valid')
    .map((one) => [one.type, one.status, one.reason])
  return JSON.stringify([status['phase'], status['url'], status['configHash'], conditions])
}

/** Keys of everything that a resource names. */
function named(resource: Resource | undefined): Set<string> {
  if (resource === undefined) return new Set()
  return new Set([
    ...references(resource).flatMap(({ kinds, namespace, name }) =>
      kinds.map((kind) => resourceKey(kind, namespace, name)),
    ),
    ...configMaps(resource).map(({ namespace, name }) => resourceKey('ConfigMap', namespace, name)),
  ])
}

/** The key of the resource that an object belongs to: by its controller, else by ToolHive's labels. */
export function ownerKey(object: KubeObject, has: (key: string) => boolean): string | undefined {
  const { namespace = '', ownerReferences = [], labels = {} } = object.metadata
  const owner = ownerReferences.find(({ controller }) => controller === true)
  if (owner !== undefined && isKind(owner.kind)) return resourceKey(owner.kind, namespace, owner.name)
  const name = labels['toolhive-name']
  if (name === undefined) return undefined
  return allKinds.map((kind) => resourceKey(kind, namespace, name)).find(has)
}
