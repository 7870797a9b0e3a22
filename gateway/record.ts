// One request's way into the audit trail. However the request ends, `finish` emits exactly one event; what it says comes
// from credentials and routing, never from arguments or results.

import { auditType, type AuditEvent, type Outcome } from '../protocol/audit.ts'
import { isObject, type Message } from '../protocol/envelope.ts'
import { wire, type Fault } from '../protocol/fault.ts'
import { nameMember } from '../protocol/revision.ts'
import { continueTrace, type Trace } from '../protocol/trace.ts'
import { clusterOf, fleetOf } from './catalog/fleet.ts'
import type { Clock } from './ports.ts'
import type { Principal } from './principal.ts'

export interface RecordHost {
  readonly component: string
  /** Address of the caller, where the host can vouch for it. */
  readonly source: string
  readonly now: Clock
  audit(event: AuditEvent): void
}

export class RequestRecord {
  /** The id that later hops share. */
  id: string = crypto.randomUUID()
  trace: Trace
  principal: Principal | undefined
  client: { readonly name: string; readonly version: string } | undefined
  /** Key of the server; an instance of a fleet by its own. */
  server: string | undefined
  /** The clusters that one request went to, where there is more than one. */
  clusters: readonly string[] | undefined
  era: string | undefined
  #settle: () => void = () => undefined
  readonly #host: RecordHost
  readonly #started: number
  readonly #endpoint: string
  readonly #source: string
  readonly #userAgent: string
  #method = ''
  #name: string | undefined
  #finished = false
  #movedFrom: string[] | undefined

  constructor(headers: Headers, endpoint: string, host: RecordHost) {
    this.#host = host
    this.#endpoint = endpoint
    this.#started = host.now()
    this.#source = host.source
    this.#userAgent = (headers.get('user-agent') ?? '').slice(0, 128)
    this.trace = continueTrace(headers.get('traceparent'), hexDigits(this.id))
  }

  /** Joins the trail of whoever passed the request on; ignored unless it is a UUID. */
  adopt(id: string | null): void {
    if (id !== null && UUID.test(id)) this.id = id
  }

  /** Resolves when the event is out. */
  settled(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#settle = resolve
    if (this.#finished) resolve()
    return promise
  }

  describe(message: Message): void {
    this.#method = message.method.slice(0, 128)
    const member = nameMember(message.method)
    const name = member === undefined ? undefined : message.params[member]
    if (typeof name === 'string') this.#name = name.slice(0, 256)
    const meta = message.params['_meta']
    const parent = isObject(meta) ? meta['traceparent'] : undefined
    if (typeof parent === 'string') this.trace = continueTrace(parent, hexDigits(this.id))
  }

  /** The call failed at this instance and is made at another. */
  moved(server: string): void {
    this.#movedFrom = [...(this.#movedFrom ?? []), server]
  }

  /** Ends with a response; `error` is its JSON-RPC error code, `size` its length. */
  finish(outcome: Outcome, size: number, error?: number): void {
    this.#emit(outcome, { response_size_bytes: size, ...(error !== undefined && { jsonrpc_error_code: error }) })
  }

  /** Says nothing: the messages of a batch have records of their own. */
  release(): void {
    this.#finished = true
    this.#settle()
  }

  fail(fault: Fault, denied = false): void {
    this.#emit(denied ? 'denied' : outcomeOf(fault), {
      response_size_bytes: 0,
      jsonrpc_error_code: wire(fault.reason).code,
      reason: fault.reason,
      ...(fault.detail !== undefined && { detail: fault.detail }),
    })
  }

  #emit(outcome: Outcome, extra: { readonly [key: string]: string | number }): void {
    if (this.#finished) return
    this.#finished = true
    const { principal, client } = this
    const now = this.#host.now()
    this.#host.audit({
      msg: 'audit_event',
      level: 'AUDIT',
      audit_id: this.id,
      type: auditType(this.#method),
      logged_at: new Date(now).toISOString(),
      outcome,
      component: this.#host.component,
      source: { type: 'network', value: this.#source, extra: { user_agent: this.#userAgent, request_id: this.id } },
      subjects: {
        ...(principal !== undefined && { user: principal.subject, user_id: principal.id }),
        ...(principal?.clientId !== undefined && { client_id: principal.clientId }),
        ...(principal?.via !== undefined && { asserted_by: principal.via }),
        ...(client !== undefined && { client_name: client.name, client_version: client.version }),
      },
      target: {
        endpoint: this.#endpoint,
        method: this.#method,
        ...(this.#name !== undefined && { name: this.#name, type: this.#method.split('/', 1)[0] ?? '' }),
      },
      metadata: {
        extra: {
          duration_ms: now - this.#started,
          transport: 'http',
          trace_id: this.trace.traceId,
          ...(this.era !== undefined && { era: this.era }),
          ...(this.server !== undefined && located(this.server)),
          ...(this.clusters !== undefined && { clusters: this.clusters.join() }),
          ...(this.#movedFrom !== undefined && { moved_from: this.#movedFrom.join() }),
          ...extra,
        },
      },
    })
    this.#settle()
  }
}

function located(key: string): { backend_name: string; cluster?: string } {
  const cluster = clusterOf(key)
  return cluster === undefined ? { backend_name: key } : { backend_name: fleetOf(key), cluster }
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u
const hexDigits = (uuid: string): string => uuid.replaceAll('-', '')

function outcomeOf(fault: Fault): Outcome {
  const { status } = wire(fault.reason)
  if (status === 401 || status === 403 || fault.reason === 'session_not_found') return 'denied'
  return status >= 500 || fault.reason.startsWith('backend_') ? 'error' : 'failure'
}
