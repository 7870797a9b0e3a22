// Wishes for names → names that fit and do not meet. Where two items want one name and no rule says whose it is, none keeps it:
// a name must never change hands silently.

import type { MergeProblem } from './catalog.ts'
import { fit, mapUri, marked } from './names.ts'
import type { Section } from './server.ts'
import type { Mark } from './spread.ts'

/** An item that wants a name. */
export interface Wish {
  readonly section: Section
  readonly bare: string
  readonly identity: string
  readonly wanted: string
  readonly mark: Mark | undefined
  /** It gives way to what does not: no cluster renames what the edge defined. */
  readonly yields?: boolean
  /** Whose it is: `<namespace>/<name>`, with the cluster where the name is about one. */
  readonly server: string
}

/** Fits every name; those that meet are all marked; those that meet even then are left out and reported. */
export function unique<T extends Wish>(
  found: readonly T[],
  isUri: boolean,
  problems: MergeProblem[],
): { candidate: T; name: string }[] {
  const first = groups(found, (one) => (isUri ? one.wanted : fit(one.wanted, one.identity)))
  const named = first.flatMap((rivals) =>
    rivals.map((candidate) => {
      if (isUri)
        return {
          candidate,
          name: rivals.length === 1 ? candidate.wanted : mapUri(candidate.wanted, candidate.server),
        }
      const first = Math.min(...rivals.map(turn))
      const keeps = turn(candidate) === first && rivals.filter((one) => turn(one) === first).length === 1
      const make = keeps ? fit : marked
      return { candidate, name: make(candidate.wanted, candidate.identity) }
    }),
  )
  return groups(named, ({ name }) => name).flatMap((rivals) => {
    if (rivals.length === 1) return rivals
    const first = Math.min(...rivals.map(({ candidate }) => turn(candidate)))
    const best = rivals.filter(({ candidate }) => turn(candidate) === first)
    const kept = new Set(best.map(({ candidate }) => candidate.identity)).size === 1 ? best.slice(0, 1) : []
    for (const one of rivals) {
      const { server, section, bare: item } = one.candidate
      if (!kept.includes(one)) problems.push({ server, section, item, message: 'is listed twice' })
    }
    return kept
  })
}

/** A name that a cluster was added to gives way to one that was there without. */
const turn = ({ mark, yields }: Wish): number => (mark !== undefined ? 2 : yields === true ? 1 : 0)

/** Items by key, in the order of their first. */
export function groups<T>(items: readonly T[], key: (item: T) => string): T[][] {
  const found = new Map<string, T[]>()
  for (const item of items) {
    const name = key(item)
    const group = found.get(name)
    if (group === undefined) found.set(name, [item])
    else group.push(item)
  }
  return [...found.values()]
}
