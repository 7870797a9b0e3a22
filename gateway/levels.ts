// The log level that a legacy client set for its session (MCP 2025-11-25, logging/setLevel). Modern servers are told with
// every call, legacy ones when their session opens; kept in the store because any isolate may serve the next call.

import { Lru } from './lru.ts'
import type { Clock, Store } from './ports.ts'

const TTL_SECONDS = 24 * 3600
const FRESH_MS = 10_000
export const LOG_LEVELS = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const

/** Whether a log line is as severe as what was asked for; both as they came, and neither need be a level. */
export function atLeast(level: unknown, wanted: unknown): boolean {
  const order: readonly unknown[] = LOG_LEVELS
  const least = order.indexOf(wanted)
  return least >= 0 && order.indexOf(level) >= least
}

export class Levels {
  readonly #store: Store
  readonly #now: Clock
  readonly #known = new Lru<string, { level: string | undefined; at: number }>(4096)

  constructor(store: Store, now: Clock) {
    this.#store = store
    this.#now = now
  }

  async set(session: string, level: string): Promise<void> {
    await this.#store.set(`level/${session}`, level, { ttlSeconds: TTL_SECONDS })
    this.#known.set(session, { level, at: this.#now() })
  }

  /** The level, or undefined when none was set or the store is away. */
  async get(session: string): Promise<string | undefined> {
    const known = this.#known.get(session)
    if (known !== undefined && this.#now() - known.at < FRESH_MS) return known.level
    const level = await this.#store.get(`level/${session}`).then(
      (entry) => entry?.value,
      () => known?.level,
    )
    this.#known.set(session, { level, at: this.#now() })
    return level
  }
}
