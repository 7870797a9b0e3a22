// One call of the admin API as its handlers see it, and what they may answer.

import type { Problem } from '../../crds/manifest.ts'
import { Name, Namespace } from '../../crds/name.ts'
import type { Principal } from '../../gateway/principal.ts'
import { Fault } from '../../protocol/fault.ts'
import type { Reason } from '../../protocol/fault.ts'
import type { AdminHost } from './host.ts'

export interface Call {
  readonly host: AdminHost
  readonly request: Request
  readonly principal: Principal
  /** Path parameters, decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
}

/** `target` and `detail` are for the audit trail. */
export type Reply =
  | { readonly kind: 'done'; readonly body: object; readonly target?: string; readonly detail?: string }
  /** In the text format of Prometheus. */
  | { readonly kind: 'text'; readonly body: string }
  | {
      readonly kind: 'refused'
      readonly reason: Reason
      readonly message: string
      readonly problems?: readonly (Problem & { index?: number })[]
      readonly target?: string
    }

export type Handler = (call: Call) => Promise<Reply>

/** A path parameter that is a Kubernetes name (RFC 1123). Throws `Fault` invalid_request. */
export function nameOf(call: Call, param: 'namespace' | 'name'): string {
  const parsed = (param === 'namespace' ? Namespace : Name).safeParse(call.params[param])
  if (parsed.success) return parsed.data
  const problem = parsed.error.issues[0]?.message ?? 'is not valid'
  throw new Fault('invalid_request', `The ${param} in the path ${problem}.`)
}

/** Query parameters by name; any other, or one given twice, is refused rather than ignored. */
export function queryOf<K extends string>(call: Call, names: readonly K[]): { readonly [name in K]?: string } {
  const found: { [name in K]?: string } = {}
  for (const [key, value] of call.query) {
    const name = names.find((known) => known === key)
    if (name === undefined) {
      const known = names.length === 0 ? 'This call takes none' : `This call takes ${names.join(', ')}`
      throw new Fault('invalid_request', `Unknown query parameter "${key.slice(0, 64)}". ${known}.`)
    }
    if (found[name] !== undefined) throw new Fault('invalid_request', `The query parameter "${name}" is given twice.`)
    found[name] = value
  }
  return found
}
