// What a field of a spec changes in the plan: tests compare a plan with the field to one without it.

import assert from 'node:assert/strict'
import { proofOf, readStatements, stated } from '../../../crds/generate/statement.ts'
import type { Kind } from '../../../crds/kinds.ts'
import type { Resource } from '../../../plan/resources.ts'
import { RUN_CONFIG } from '../../run-config.ts'
import type { Plan, Planner } from '../kind.ts'
import { planned, type Manifest, type Scene } from '../kinds/scene.ts'

/** A field, a spec that sets it, and places of the plan with the values that they have then and did not have before. */
export interface Effect {
  /** Path below `spec`, as on docs/compatibility.md. Several where one place shows them together. */
  readonly fields: readonly string[]
  /** Laid over the base spec. */
  readonly spec: object
  readonly shows: Readonly<Record<string, unknown>>
  /** Instead of the base spec. */
  readonly base?: object
  readonly settings?: Scene['settings']
}

export interface Stage {
  readonly kind: Manifest['kind']
  readonly name: string
  readonly spec: object
  /** Everything else that is there. */
  readonly others?: readonly Manifest[]
  readonly objects?: Scene['objects']
}

/** Asserts that every effect shows. */
export function assertEffects<R extends Resource>(planner: Planner<R>, stage: Stage, effects: readonly Effect[]): void {
  for (const effect of effects) {
    const [before, after] = plans(planner, stage, effect)
    for (const [place, value] of Object.entries(effect.shows)) {
      const what = `${stage.kind} ${effect.fields.join(', ')}: ${place}`
      assert.deepEqual(after.get(place), value, what)
      assert.notDeepEqual(before.get(place), value, `${what} is so without the field`)
    }
    assert.ok(Object.keys(effect.shows).length > 0, `${effect.fields.join(', ')} shows nothing`)
  }
}

export function plans<R extends Resource>(planner: Planner<R>, stage: Stage, effect: Effect): [Flat, Flat] {
  const { kind, name, others = [], objects = [] } = stage
  const base = { ...stage.spec, ...effect.base }
  return [base, { ...base, ...effect.spec }].map((spec) => {
    const manifests = [{ kind, name, spec }, ...others]
    return flat(planned(planner, { manifests, objects, settings: effect.settings ?? {} }))
  }) as [Flat, Flat]
}

export type Flat = ReadonlyMap<string, unknown>

/**
 * A plan as places and values: `Service mcp-a-proxy spec.ports[http].port`, `run config port`, `status url`, `condition Ready` with
 * `True Running`. Items of lists are called by their name where they have one.
 */
export function flat(plan: Plan): Flat {
  const places = new Map<string, unknown>()
  for (const object of plan.objects) {
    const at = `${object.kind} ${object.metadata.name}`
    const config = (object as { data?: Record<string, string> }).data?.[RUN_CONFIG]
    if (config === undefined) spread(object, at, ' ', places)
    else spread(JSON.parse(config), 'run config', ' ', places)
  }
  spread(plan.status, 'status', ' ', places)
  for (const { type, status, reason } of plan.conditions) places.set(`condition ${type}`, `${status} ${reason}`)
  return places
}

function spread(value: unknown, path: string, dot: string, places: Map<string, unknown>): void {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const name: unknown = typeof item === 'object' && item !== null && 'name' in item ? item.name : index
      spread(item, `${path}[${String(name)}]`, '.', places)
    }
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, child] of Object.entries(value)) spread(child, `${path}${dot}${key}`, '.', places)
  } else {
    places.set(path, value)
  }
}

/**
 * Asserts that `effects` speak of fields that exist, and of every field for which docs/compatibility.md names `file` as the proof.
 * A field with fields of its own is shown when one of those is.
 */
export function assertComplete(kind: Kind, effects: readonly Effect[], file: string): void {
  const lines = stated(kind, readStatements()[kind] ?? {})
  const known = new Set(lines.map(({ field }) => field.path.slice('spec.'.length)))
  const shown = effects.flatMap(({ fields }) => fields)
  assert.deepEqual(
    shown.filter((path) => !known.has(path)),
    [],
    'no such fields',
  )
  const unseen = lines
    .filter(({ statement }) => proofOf(statement)?.startsWith(`${file}: `) === true)
    .map(({ field }) => field.path.slice('spec.'.length))
    .filter(
      (path) =>
        !shown.some((one) => one === path || (/^(\.|\[\])/.test(one.slice(path.length)) && one.startsWith(path))),
    )
  assert.deepEqual(unseen, [], `docs/compatibility.md says that ${file} shows these fields`)
}
