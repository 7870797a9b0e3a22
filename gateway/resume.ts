// A call's stream that its client lost: the id of every event holds, sealed, what it takes to go on after it in any isolate.
// Whoever comes back is judged again, by today's rights.

import { isObject, parseMessage, type Json } from '../protocol/envelope.ts'
import { decide, type Route } from './decide.ts'
import { soleFor, type Host } from './endpoint.ts'
import type { Forwarding, Presented } from './forwarding.ts'
import type { ClientSession } from './session.ts'

/** As long as a call can last, and some more to come back. */
const TTL_MS = 20 * 60_000
/** Longest id that is handed out: it comes back in a header. */
const MAX_SEALED = 8_192
const MAX_PAYLOAD = 6_000

/** What the id of an event holds inside. */
interface SealedEvent {
  readonly session: string
  readonly server: string
  readonly via: string | undefined
  /** The server's own id. */
  readonly event: string
  readonly expires: number
  /** JSON text of the request's id. */
  readonly id: string
  readonly method: string
  /** What decides where the request goes, and what its answer is translated by. */
  readonly params: { readonly [key: string]: Json }
}

/** A call to go on with. */
export interface Resumption {
  readonly route: Route
  readonly forwarding: Forwarding
}

/** The id of an event for the client; undefined when the request is not one that can be gone on with. */
export async function sealEvent(
  event: string,
  { message, session }: Forwarding,
  { server, via }: Route,
  host: Host,
): Promise<string | undefined> {
  if (session === undefined || message.id === undefined) return undefined
  const { name, uri, _meta: meta } = message.params
  const token = isObject(meta) ? meta['progressToken'] : undefined
  const payload: SealedEvent = {
    session: session.id,
    server,
    via,
    event,
    expires: host.now() + TTL_MS,
    id: message.id,
    method: message.method,
    params: {
      ...(typeof name === 'string' && { name }),
      ...(typeof uri === 'string' && { uri }),
      ...(token !== undefined && { _meta: { progressToken: token } }),
    },
  }
  if (message.id.length > MAX_PAYLOAD || JSON.stringify(payload).length > MAX_PAYLOAD) return undefined
  const sealed = await host.sealer.seal('event', payload)
  return sealed.length > MAX_SEALED ? undefined : sealed
}

/** Whether an event id is one of a call's stream: those of a session's own stream are short. */
export const isCallEvent = (id: string): boolean => id.split('.', 6).length === 5

/**
 * The call behind a `Last-Event-ID`, ready to be forwarded as any other. Undefined for an id that is none of ours, of another
 * session or too old, and when the caller may not make the call any more.
 */
export async function resumption(
  lastEvent: string,
  presented: Presented & { readonly session: ClientSession },
  host: Host,
): Promise<Resumption | undefined> {
  const { session, principal, endpoint } = presented
  const sealed = (await host.sealer.open('event', lastEvent)) as SealedEvent | undefined
  if (sealed?.session !== session.id || sealed.expires <= host.now()) return undefined
  const { method, params, event: after } = sealed
  const message = parseMessage(
    `{"jsonrpc":"2.0","id":${sealed.id},"method":${JSON.stringify(method)},"params":${JSON.stringify(params)}}`,
  )
  const { catalog } = endpoint
  const sole = soleFor(endpoint, principal)
  const decision = decide(message, { catalog, principal, era: 'legacy', sole, task: undefined, at: sealed.server })
  if (decision.kind !== 'forward') return undefined
  const { route } = decision
  if (route.server !== sealed.server || route.via !== sealed.via) return undefined
  const meta = isObject(message.params['_meta']) ? message.params['_meta'] : {}
  const opened = { era: 'legacy', revision: session.revision, meta, client: session.client } as const
  return { route, forwarding: { ...presented, message, opened, after } }
}
