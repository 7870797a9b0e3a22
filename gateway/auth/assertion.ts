// Assertions: how a virtual server or the edge says to one server on whose behalf it calls. A short-lived JWS that names the signer,
// the one server it is for, and either a caller or the use of that server's catalog; it is good for nothing else.

import type { JWTPayload } from 'jose'
import type { Rule } from '../policy.ts'
import type { Principal } from '../principal.ts'

export const ASSERTION_HEADER = 'waggle-assertion'
/** The audit trail's id of the request, which receivers adopt from whoever asserts the caller. */
export const REQUEST_ID_HEADER = 'waggle-request-id'

export const TYPE = 'waggle-assertion+jwt'
export const ALGORITHM = 'ES256'
/** Longest life of an assertion, in seconds. */
export const LIFE_SECONDS = 60
/** Clocks of two nodes may differ by this much, in seconds. */
export const SKEW_SECONDS = 10

/** Claims of groups and scopes, in characters: all of them must fit into one header with the rest. */
const MAX_LIST = 4096

/** What rules say about callers, so that an assertion carries what they need and no more. */
export interface Named {
  readonly claims: readonly string[]
  readonly groups: readonly string[]
}

/** What these rules ask of callers. */
export function namedIn(rules: readonly Rule[]): Named {
  return {
    claims: rules.flatMap((rule) => Object.keys(rule.claims ?? {})),
    groups: rules.flatMap((rule) => rule.groups ?? []),
  }
}

/** The claims that speak of a caller (RFC 9493 names it). `until` is when its own credential ends, in seconds since the epoch. */
export function describe(principal: Principal, named: Named): JWTPayload {
  const claims = Object.fromEntries(
    named.claims.flatMap((name) => (Object.hasOwn(principal.claims, name) ? [[name, principal.claims[name]]] : [])),
  )
  return {
    use: 'call',
    sub_id: { format: 'iss_sub', iss: principal.issuer, sub: principal.subject },
    ...(principal.clientId !== undefined && { client_id: principal.clientId }),
    ...(principal.scopes.size > 0 && { scope: fitting([...principal.scopes], []).join(' ') }),
    ...(principal.groups.length > 0 && { groups: fitting(principal.groups, named.groups) }),
    ...(Object.keys(claims).length > 0 && { claims }),
    ...(Number.isFinite(principal.expires) && { until: principal.expires }),
  }
}

/** The caller that verified claims speak of; undefined where they speak of none. */
export function described(payload: JWTPayload): Principal | undefined {
  const { use, sub_id: id, client_id: clientId, scope, groups, claims, until, iss: via } = payload
  if (use !== 'call' || !isRecord(id) || id['format'] !== 'iss_sub') return undefined
  const { iss: issuer, sub: subject } = id
  if (typeof issuer !== 'string' || typeof subject !== 'string' || issuer === '' || subject === '') return undefined
  return {
    id: `${issuer} ${subject}`,
    issuer,
    subject,
    clientId: typeof clientId === 'string' ? clientId : undefined,
    scopes: new Set(typeof scope === 'string' ? scope.split(' ').filter((one) => one !== '') : []),
    groups: Array.isArray(groups) ? groups.map(String) : [],
    claims: isRecord(claims) ? claims : {},
    expires: typeof until === 'number' ? until : Number.POSITIVE_INFINITY,
    via,
  }
}

/** As many as fit, those first that rules name. */
function fitting(list: readonly string[], named: readonly string[]): string[] {
  const wanted = new Set(named)
  const ordered = [...list.filter((one) => wanted.has(one)), ...list.filter((one) => !wanted.has(one))]
  let characters = 0
  return ordered.filter((one) => (characters += one.length + 1) <= MAX_LIST)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
