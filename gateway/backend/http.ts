// One HTTP request to a server, and what ends it. Redirects are followed on the same origin only: elsewhere they would carry
// credentials away. An aborted signal ends every wait at once, also where the runtime's own fetch does not listen to it.

import { Fault } from '../../protocol/fault.ts'
import { orAborted } from '../wait.ts'
import { guardEgress } from './egress.ts'
import type { Call, Upstream } from './upstream.ts'

const MAX_REDIRECTS = 3

/** Fetches with egress guard and same-origin redirects. Connection failures become `Fault` `backend_unavailable`. */
export async function request(upstream: Upstream, address: string, init: RequestInit): Promise<Response> {
  let at = address
  check(upstream, address)
  for (let hop = 0; ; hop += 1) {
    const response = await fetchOnce(upstream, at, init)
    if (response.status < 300 || response.status > 399) return response
    const location = response.headers.get('location')
    await response.body?.cancel()
    const from = new URL(at)
    const next = location === null || !URL.canParse(location, at) ? undefined : new URL(location, at)
    const keepsMethod = response.status === 307 || response.status === 308
    if (next === undefined || next.origin !== from.origin || !keepsMethod || hop >= MAX_REDIRECTS) {
      const detail = `redirect ${response.status} from ${from.origin} to ${next?.origin ?? 'nowhere'}`
      throw new Fault('backend_refused', `Server ${upstream.server} redirects elsewhere, which is not followed.`, {
        data: { server: upstream.server },
        detail,
      })
    }
    guardEgress(next, upstream.server, upstream)
    at = next.href
  }
}

const allowed = new WeakSet<Upstream>()

/** Lets the guard look at an address; its verdict on a server's own never changes, so it is asked once. */
function check(upstream: Upstream, address: string): void {
  const isOwn = address === upstream.url
  if (isOwn && allowed.has(upstream)) return
  guardEgress(new URL(address), upstream.server, upstream)
  if (isOwn) allowed.add(upstream)
}

async function fetchOnce(upstream: Upstream, address: string, init: RequestInit): Promise<Response> {
  try {
    return await upstream.fetch(address, { ...init, redirect: 'manual' })
  } catch (error) {
    throw lost(upstream, error, init.signal ?? undefined)
  }
}

/** The response, unless the signal aborts first: then one that comes late is released. Throws as `request`. */
export async function promptly(response: Promise<Response>, signal: AbortSignal): Promise<Response> {
  try {
    return await orAborted(response, signal)
  } catch (error) {
    response.then((late) => late.body?.cancel()).catch(() => undefined)
    throw error
  }
}

/** The fault behind an aborted or broken exchange: the signal's own reason where it has one, else what the network says of it. */
export function lost(upstream: Upstream, error: unknown, signal: AbortSignal | undefined): Fault {
  if (signal?.aborted === true && signal.reason instanceof Fault) return signal.reason
  if (error instanceof Fault) return error
  return new Fault('backend_unavailable', `Server ${upstream.server} cannot be reached.`, {
    data: { server: upstream.server, retryAfterSeconds: 5 },
    detail: error instanceof Error ? error.message.slice(0, 200) : 'connection failed',
    cause: error,
  })
}

export function protocol(upstream: Upstream, what: string): Fault {
  return new Fault('backend_protocol', `Server ${upstream.server} ${what}.`, { data: { server: upstream.server } })
}

/** The same server, over the network for streams that outlive a request. */
export const lasting = (upstream: Upstream): Upstream => ({ ...upstream, fetch: upstream.lasting ?? upstream.fetch })

/** The server as this message goes to it: where only the signal ends the wait, it reaches the network. */
export const through = (upstream: Upstream, { id, alone }: Call): Upstream =>
  id === undefined || alone === true ? lasting(upstream) : upstream

/** The media type, without parameters, in lower case. */
export function contentType(response: Response): string {
  return (response.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
}
