// The audit trail of a proxy: one JSON line per event on stdout, in batches of a moment, so that a busy proxy writes many
// at once. What is not written yet is written before the process ends.

import type { AuditEvent } from '../../protocol/audit.ts'

const BATCH_MS = 50
const MAX_WAITING = 256

export class AuditTrail {
  #waiting: string[] = []
  #timer: ReturnType<typeof setTimeout> | undefined

  write(event: AuditEvent): void {
    this.#waiting.push(JSON.stringify(event))
    if (this.#waiting.length >= MAX_WAITING) this.flush()
    else this.#timer ??= setTimeout(() => this.flush(), BATCH_MS)
  }

  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#waiting.length === 0) return
    const lines = this.#waiting
    this.#waiting = []
    process.stdout.write(`${lines.join('\n')}\n`)
  }
}
