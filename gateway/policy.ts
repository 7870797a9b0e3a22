// Who may see and call what. One decision serves lists and calls, so what is not listed cannot be called (trust.md, ToolPolicy).
// A tool that no rule names is open to whoever may use the endpoint.

import type { Principal } from './principal.ts'

/** One rule of a ToolPolicy, ready to match: every condition present must hold. */
export interface Rule {
  /** Globs over original and exposed names; `*` matches any run of characters. */
  readonly tools: readonly string[]
  /** One of these groups. Unmet: the tool does not exist for this caller. */
  readonly groups?: readonly string[]
  /** For every claim one of the values. Unmet: the tool does not exist for this caller. */
  readonly claims?: Readonly<Record<string, readonly string[]>>
  /** All of these scopes. Unmet: listed, and a call answers the step-up challenge. */
  readonly scopes?: readonly string[]
  /** Says where, not only who: of those of one policy that name a tool, one must hold here. */
  readonly place?: Placement
  /** Whether the server's hints about these tools are believed. */
  readonly trustHints?: boolean
}

export interface Placement {
  /** The ToolPolicy that says so: every policy must be met. */
  readonly policy: string
  /** Whether it is about this instance's cluster and namespace. */
  readonly here: boolean
}

/** Which callers an endpoint admits at all; used where one catalog spans several endpoints. */
export interface Access {
  /** Issuers whose principals may use it; undefined: everybody, anonymous callers included. */
  readonly issuers: readonly string[] | undefined
  readonly scopes: readonly string[]
}

/** One way to a tool: through this endpoint, under these rules. */
export interface Grant {
  /** Key of the endpoint, where the catalog spans several: its credential and its limits are the ones to use. */
  readonly via?: string
  readonly access: Access | undefined
  readonly rules: readonly Rule[]
}

export type Verdict =
  | { readonly kind: 'allow'; readonly grant: Grant }
  | { readonly kind: 'hidden' }
  | { readonly kind: 'step_up'; readonly scopes: readonly string[] }

const HIDDEN: Verdict = { kind: 'hidden' }

/** Decides for one item. Of several grants the first that allows wins; else the first that only lacks scopes. */
export function judge(principal: Principal, grants: readonly Grant[]): Verdict {
  let stepUp: Verdict | undefined
  for (const grant of grants) {
    const rules = binding(principal, grant)
    if (rules === undefined) continue
    if (rules.every((rule) => suffices(principal, rule))) return { kind: 'allow', grant }
    stepUp ??= { kind: 'step_up', scopes: [...new Set(rules.flatMap((rule) => rule.scopes ?? []))].sort() }
  }
  return stepUp ?? HIDDEN
}

/** Whether the item exists for this caller by this grant; scopes of rules do not matter here. */
export function visible(principal: Principal, grant: Grant): boolean {
  return binding(principal, grant) !== undefined
}

/** The rules whose scopes a call needs: all of them, but of each policy's placements only one. Undefined: hidden. */
function binding(principal: Principal, { access, rules }: Grant): readonly Rule[] | undefined {
  if (access !== undefined && !admits(principal, access)) return undefined
  let placed = false
  for (const rule of rules) {
    if (rule.place !== undefined) placed = true
    else if (!holds(principal, rule)) return undefined
  }
  return placed ? settled(principal, rules) : rules
}

/** The rules with one placement of every policy: one that holds, if possible one whose scopes the caller has. */
function settled(principal: Principal, rules: readonly Rule[]): readonly Rule[] | undefined {
  const chosen = new Map<string, Rule | undefined>()
  for (const rule of rules) {
    if (rule.place === undefined) continue
    const { policy, here } = rule.place
    const known = chosen.get(policy)
    const better = known === undefined || (!suffices(principal, known) && suffices(principal, rule))
    chosen.set(policy, here && better && holds(principal, rule) ? rule : known)
  }
  const places = [...chosen.values()].filter((rule) => rule !== undefined)
  if (places.length < chosen.size) return undefined
  return [...rules.filter((rule) => rule.place === undefined), ...places]
}

function suffices(principal: Principal, { scopes }: Rule): boolean {
  return scopes === undefined || scopes.every((scope) => principal.scopes.has(scope))
}

export function admits(principal: Principal, access: Access): boolean {
  if (access.issuers === undefined) return true
  return access.issuers.includes(principal.issuer) && access.scopes.every((scope) => principal.scopes.has(scope))
}

function holds(principal: Principal, rule: Rule): boolean {
  if (rule.groups !== undefined && !rule.groups.some((group) => principal.groups.includes(group))) return false
  if (rule.claims === undefined) return true
  return Object.entries(rule.claims).every(([claim, allowed]) => {
    const value = Object.hasOwn(principal.claims, claim) ? principal.claims[claim] : undefined
    const held = Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)]
    return held.some((one) => allowed.includes(one))
  })
}

/** Compiles a glob; only `*` is special. Linear: no backtracking for hostile names. */
export function glob(pattern: string): (name: string) => boolean {
  const parts = pattern.split('*')
  if (parts.length === 1) return (name) => name === pattern
  const head = parts[0] ?? ''
  const tail = parts.at(-1) ?? ''
  const middle = parts.slice(1, -1)
  return (name) => {
    if (name.length < head.length + tail.length || !name.startsWith(head) || !name.endsWith(tail)) return false
    let at = head.length
    const end = name.length - tail.length
    for (const part of middle) {
      const found = name.indexOf(part, at)
      if (found < 0 || found + part.length > end) return false
      at = found + part.length
    }
    return true
  }
}
