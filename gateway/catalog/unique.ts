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
      // A name that a cluster was added to gives way to one that was there without.
      const plain = rivals.filter(({ mark }) => mark === undefined)
      const keeps = rivals.length === 1 || (plain.length === 1 && plain[0] === candidate)
      const make = keeps ? fit : marked
      return { candidate, name: make(candidate.wanted, candidate.identity) }
    }),
  )
  return groups(named, ({ name }) => name).flatMap((rivals) => {
    const distinct = new Set(rivals.map(({ candidate }) => candidate.identity)).size
    if (rivals.length === 1) return rivals
    for (const { candidate } of distinct === 1 ? rivals.slice(1) : rivals) {
      problems.push({
        server: candidate.server,
        section: candidate.section,
        item: candidate.bare,
        message: 'is listed twice',
      })
    }
    return distinct === 1 ? rivals.slice(0, 1) : []
  })
}

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
