// The edge's audit trail: one JSON line per event on stdout, which Logpush and log shippers read, and the newest events of
// this isolate in memory for the admin API. Where lines may wait (AUDIT_BATCH_MS), a busy isolate writes many at once;
// a quiet one still writes each at once, and no request ends before its line is out.

import type { AuditEvent } from '../protocol/audit.ts'

const KEPT = 1000
const MAX_WAITING = 64

export class AuditTrail {
  readonly #batchMs: number
  /** Lines, not events: text is cheap to keep. */
  readonly #kept: string[] = []
  #at = 0
  #waiting: string[] = []
  #writtenAt = 0

  constructor(batchMs: number) {
    this.#batchMs = batchMs
  }

  write(event: AuditEvent, defer: (work: Promise<unknown>) => void): void {
    const line = JSON.stringify(event)
    this.#kept[this.#at % KEPT] = line
    this.#at += 1
    const now = Date.now()
    if (this.#waiting.length === 0 && now - this.#writtenAt >= this.#batchMs) {
      this.#writtenAt = now
      console.log(line)
      return
    }
    this.#waiting.push(line)
    if (this.#waiting.length >= MAX_WAITING) this.#flush()
    else if (this.#waiting.length === 1) defer(this.#later())
  }

  /** The newest events, newest last. */
  newest(limit: number): AuditEvent[] {
    const start = this.#at % KEPT
    const ordered = this.#at < KEPT ? this.#kept : [...this.#kept.slice(start), ...this.#kept.slice(0, start)]
    const lines = limit <= 0 ? [] : ordered.slice(-limit)
    return lines.map((line) => JSON.parse(line) as AuditEvent)
  }

  async #later(): Promise<void> {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, this.#batchMs)
    })
    this.#flush()
  }

  #flush(): void {
    if (this.#waiting.length === 0) return
    const lines = this.#waiting.join('\n')
    this.#waiting = []
    this.#writtenAt = Date.now()
    console.log(lines)
  }
}
