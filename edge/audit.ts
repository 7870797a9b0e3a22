// The edge's audit trail: one JSON line per event on stdout, which Logpush and log shippers read, and the newest events of
// this isolate in memory for the admin API.

import type { AuditEvent } from '../protocol/audit.ts'

const KEPT = 1000

export class AuditTrail {
  readonly #events: AuditEvent[] = []
  #at = 0

  readonly write = (event: AuditEvent): void => {
    this.#events[this.#at % KEPT] = event
    this.#at += 1
    console.log(JSON.stringify(event))
  }

  /** The newest events, newest last. */
  newest(limit: number): AuditEvent[] {
    const start = this.#at % KEPT
    const ordered = this.#at < KEPT ? this.#events : [...this.#events.slice(start), ...this.#events.slice(0, start)]
    return limit <= 0 ? [] : ordered.slice(-limit)
  }
}
