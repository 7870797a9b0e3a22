// The keys by which the edge signs, followed for as long as this runs.

import type { JSONWebKeySet } from 'jose'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { edgeJwks } from '../jwks.ts'
import { sleep, systemClock } from '../kube/clock.ts'

const EVERY_MS = 5 * 60_000
const FIRST_RETRY_MS = 1_000
const LAST_RETRY_MS = 20_000

export interface EdgeKeysHost {
  readonly edge: string
  readonly fetch: Fetch
  readonly found: (jwks: JSONWebKeySet) => void
  readonly failed: (error: unknown) => void
}

/** Until the signal aborts. Never rejects. */
export async function followEdgeKeys({ edge, fetch, found, failed }: EdgeKeysHost, signal: AbortSignal): Promise<void> {
  for (let failures = 0; !signal.aborted;) {
    let waitMs = EVERY_MS
    try {
      found(await edgeJwks(edge, fetch, signal))
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
