// The links of one hub as its calls see them, and which of them the next call takes.

import { MAX_CALLS } from '../../protocol/link.ts'

export interface Connection<Call> {
  readonly id: string
  readonly calls: Set<Call>
  /** Opened so many connections before it: the newest is the highest. */
  readonly order: number
  /** Calls of which nothing has been heard yet. */
  unheard: number
  isDraining: boolean
  /** When it let a call pass without a word; undefined: it has been heard since. */
  suspectAt: number | undefined
  /** Nothing at all has been heard of it for long, as its driver says. */
  isSilent: boolean
}

/** `order`: of two the higher is the newer one. */
export function connected<Call>(id: string, order: number): Connection<Call> {
  return { id, calls: new Set(), order, unheard: 0, isDraining: false, suspectAt: undefined, isSilent: false }
}

/** The healthy link with the fewest calls, of two the newer; a doubtful one gets one call at a time to show that it lives. */
export function choose<Call>(connections: Iterable<Connection<Call>>): Connection<Call> | undefined {
  let best: Connection<Call> | undefined
  for (const one of connections) {
    if (one.isDraining || one.calls.size >= MAX_CALLS || (isDoubtful(one) && one.unheard > 0)) continue
    if (best === undefined || isBetter(one, best)) best = one
  }
  return best
}

function isDoubtful({ suspectAt, isSilent }: Connection<unknown>): boolean {
  return suspectAt !== undefined || isSilent
}

function isBetter(one: Connection<unknown>, other: Connection<unknown>): boolean {
  if (isDoubtful(one) !== isDoubtful(other)) return isDoubtful(other)
  if (one.calls.size !== other.calls.size) return one.calls.size < other.calls.size
  return one.order > other.order
}
