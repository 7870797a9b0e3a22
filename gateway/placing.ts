// Which instances of a fleet one message goes to: those that its caller may use, of them those that it names. Pure.
// A cluster that is hidden from the caller and one that does not exist are answered alike.

import type { Json } from '../protocol/envelope.ts'
import { choices, EVERYWHERE, type Place, type Spread } from './catalog/spread.ts'
import { judge } from './policy.ts'
import type { Principal } from './principal.ts'

/** An instance, reached by the grant of one endpoint. */
export interface Way {
  readonly server: string
  readonly via: string | undefined
}

export type Placing =
  /** `others` would do as well. */
  | { readonly kind: 'one'; readonly way: Way; readonly others: readonly Way[] }
  | { readonly kind: 'all'; readonly ways: readonly Way[] }
  | { readonly kind: 'hidden' }
  | { readonly kind: 'step_up'; readonly scopes: readonly string[] }
  /** The caller has to choose one of `values`. `denied`: it has named an instance that is hidden from it. */
  | { readonly kind: 'unclear'; readonly values: readonly string[]; readonly denied: boolean }

/**
 * `written` is what the caller's message has for the argument that names the cluster. `at` is the instance where what the
 * message is about began: it is there or nowhere, unless the caller says otherwise.
 */
export function place(fleet: Spread, principal: Principal, written: Json | undefined, at: string | undefined): Placing {
  const seen = fleet.places
    .map((one) => ({ one, verdict: judge(principal, one.grants) }))
    .filter(({ verdict }) => verdict.kind !== 'hidden')
  const named = (test: (one: Place) => boolean): Placing => {
    const found = seen.filter(({ one }) => test(one))
    const allowed = found.flatMap(({ one, verdict }) =>
      verdict.kind === 'allow' ? [{ server: one.server, via: verdict.grant.via }] : [],
    )
    const [way, ...others] = allowed
    if (way !== undefined) return { kind: 'one', way, others }
    return found.map(({ verdict }) => verdict).find((verdict) => verdict.kind === 'step_up') ?? { kind: 'hidden' }
  }
  if (seen.length === 0) return { kind: 'hidden' }
  if (written === undefined && at !== undefined) return named(({ server }) => server === at)
  const isChoice = fleet.argument !== undefined
  if (!isChoice || (written === undefined && seen.length === 1)) return named(() => true)
  const values = choices(
    fleet,
    seen.map(({ one }) => one),
  )
  if (written === EVERYWHERE && values.includes(EVERYWHERE)) {
    const missing = seen.flatMap(({ verdict }) => (verdict.kind === 'step_up' ? verdict.scopes : []))
    if (missing.length > 0) return { kind: 'step_up', scopes: [...new Set(missing)].sort() }
    const ways = seen.map(({ one }) => named(({ server }) => server === one.server))
    return { kind: 'all', ways: ways.flatMap((found) => (found.kind === 'one' ? [found.way] : [])) }
  }
  if (seen.some(({ one }) => one.cluster === written)) return named(({ cluster }) => cluster === written)
  return {
    kind: 'unclear',
    values: values.length > 0 ? values : seen.map(({ one }) => one.cluster),
    denied: fleet.places.some(({ cluster }) => cluster === written),
  }
}
