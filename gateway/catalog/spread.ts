// One item of a fleet → the entries that callers see: one for all instances where a caller cannot tell them apart, else one each.
// Names depend on the instances alone, not on who looks; the oldest keeps the plain name, so that who joins renames nobody's tools.

import type { Grant } from '../policy.ts'
import type { FleetMode } from './fleet.ts'
import type { Item, Section } from './server.ts'
import { isAlike, shapeOf } from './shape.ts'

/** An item at one instance of its fleet. */
export interface Place {
  /** `<namespace>/<name>@<cluster>` */
  readonly server: string
  readonly cluster: string
  readonly since: number
  readonly item: Item
  readonly grants: readonly Grant[]
  /** What the server says about the item is believed. */
  readonly trusted: boolean
}

/** Where an entry of a fleet leads. */
export interface Spread {
  readonly mode: FleetMode
  /** By cluster; at least one. */
  readonly places: readonly Place[]
  /** The argument by which callers name the cluster; undefined where they have no choice. */
  readonly argument: string | undefined
  /** `*` may be written for the cluster: the tool is called in all of them. */
  readonly scatters: boolean
  /** May be called again elsewhere though a call may have been executed. */
  readonly repeats: boolean
}

/** How the name of an entry tells its cluster. */
export interface Mark {
  readonly at: 'front' | 'back'
  readonly cluster: string
}

/** The instances behind one entry. `mark` is undefined for the plain name. */
export interface Variant<P> {
  readonly mark: Mark | undefined
  readonly places: readonly P[]
}

type Spot = Pick<Place, 'cluster' | 'since' | 'item'>

/** The entries of one item; `spots` are the instances that have it, in any order. Deterministic. */
export function arrange<P extends Spot>(mode: FleetMode, section: Section, spots: readonly P[]): Variant<P>[] {
  const places = [...spots].sort((a, b) => (a.cluster < b.cluster ? -1 : 1))
  const apart = mode === 'prefixed' || (mode === 'addressable' && section !== 'tools' && places.length > 1)
  if (apart) return places.map((place) => ({ mark: { at: 'front', cluster: place.cluster }, places: [place] }))
  const [first] = inAge(places)
  if (first === undefined) return []
  const alike = places.filter((place) => place === first || same(section, first.item, place.item))
  const others = places.filter((place) => !alike.includes(place))
  return [
    { mark: undefined, places: alike },
    ...others.map((place): Variant<P> => ({ mark: { at: 'back', cluster: place.cluster }, places: [place] })),
  ]
}

/** The oldest first; of the same age by cluster. */
export function inAge<P extends Pick<Place, 'cluster' | 'since'>>(places: readonly P[]): P[] {
  return [...places].sort((a, b) => a.since - b.since || (a.cluster < b.cluster ? -1 : 1))
}

/** The instance that has the item longest. */
export function oldest<P extends { readonly since: number; readonly cluster: string; readonly item: Item }>(
  places: readonly P[],
): P {
  const [first] = inAge(places)
  if (first === undefined) throw new RangeError('an entry of a fleet has at least one place')
  return first
}

function same(section: Section, a: Item, b: Item): boolean {
  if (section === 'resources' || section === 'templates') return true
  // Text of uncertain meaning is nobody else's: what is added to it would mean one thing here and another there.
  if (section === 'tools' && shapeOf(a).properties === undefined) return false
  return isAlike(a, b)
}

/** What callers may do with places that share an entry. `annotations` are those that an override sets. */
export function spread(
  mode: FleetMode,
  section: Section,
  places: readonly Place[],
  annotations: Readonly<Record<string, unknown>> | undefined,
): Spread {
  const [first] = places
  const isTool = section === 'tools'
  const trusted = places.length > 1 && places.every((place) => place.trusted)
  const hints = first !== undefined && isTool && trusted ? { ...shapeOf(first.item).annotations, ...annotations } : {}
  const reads = hints['readOnlyHint'] === true
  // Also where there is one place by now: who names a cluster that has gone must not be answered by another. A schema of uncertain meaning
  // may have an argument of this name itself.
  const isNamed = places.length > 1 || (first !== undefined && isTool && shapeOf(first.item).properties !== undefined)
  const argument =
    isTool && mode === 'addressable' && first !== undefined && isNamed ? argumentOf(first.item) : undefined
  return {
    mode,
    places,
    argument,
    scatters: argument !== undefined && reads,
    repeats: trusted && (!isTool || reads || hints['idempotentHint'] === true),
  }
}

/** What stands for all clusters; no cluster is called so. */
export const EVERYWHERE = '*'

/** What a caller that may use these places may write for the cluster; nothing where there is no choice. */
export function choices({ argument, scatters }: Spread, places: readonly Place[]): string[] {
  if (argument === undefined || places.length < 2) return []
  const clusters = places.map(({ cluster }) => cluster)
  return scatters ? [...clusters, EVERYWHERE] : clusters
}

/** A name for the argument that no argument of the tool has. */
function argumentOf(item: Item): string {
  const taken = shapeOf(item).properties
  for (let name = 'cluster'; ; name = name === 'cluster' ? 'waggle_cluster' : `${name}_`)
    if (taken?.has(name) !== true) return name
}

/** A name with the cluster it is about. */
export function markName(name: string, mark: Mark | undefined): string {
  if (mark === undefined) return name
  return mark.at === 'front' ? `${mark.cluster}_${name}` : `${name}_${mark.cluster}`
}
