// The keys by which the edge signs, followed for as long as this runs.

import type { JSONWebKeySet } from 'jose'
import { readBounded } from '../../gateway/bounded.ts'
import { sleep, systemClock } from '../kube/clock.ts'
import { readJwks } from '../operator/jwks.ts'
import type { EdgeFetch } from '../uplink/edge-fetch.ts'

const EVERY_MS = 5 * 60_000
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 20_000
const REQUEST_MS = 10_000
const MAX_BODY = 64 * 1024

export interface EdgeKeysHost {
  readonly edge: string
  readonly fetch: EdgeFetch
  readonly found: (jwks: JSONWebKeySet) => void
  readonly failed: (error: unknown) => void
}

/** Until the signal aborts. Never rejects. */
export async function followEdgeKeys({ edge, fetch, found, failed }: EdgeKeysHost, signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted;) {
    let waitMs = EVERY_MS
    try {
      found(await edgeKeys(edge, fetch, signal))
      failures = 0
    } catch (error) {
      if (signal.aborted) return
      failed(error)
      waitMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures, 10))
      failures += 1
    }
    await sleep(systemClock, waitMs, signal)
  }
}

async function edgeKeys(edge: string, fetch: EdgeFetch, signal: AbortSignal): Promise<JSONWebKeySet> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(REQUEST_MS)])
  const response = await fetch(`${edge}/.well-known/jwks.json`, { signal: deadline })
  const text = response.body === null ? undefined : await readBounded(response.body, MAX_BODY)
  const jwks = response.ok ? readJwks(text) : undefined
  if (jwks === undefined) throw new Error(`${edge} publishes no keys: HTTP ${response.status}`)
  return jwks
}
