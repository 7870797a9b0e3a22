// The audit trail of a run, held against what was sent: every message is in it exactly once, whatever became of it.

import { setTimeout as sleep } from 'node:timers/promises'

const MAX_REPORTED = 10
const MAX_CONFUSED = 1000
const SETTLE_MS = 60_000

export class Trail {
  readonly #lines: readonly string[]
  #read: number
  readonly #seen = new Map<string, number>()
  readonly #expected = new Map<string, { readonly events: number; readonly index: number }>()

  readonly #confused: { what: string; index: number }[] = []

  /** `lines` is everything that the edge prints, and grows. */
  constructor(lines: readonly string[]) {
    this.#lines = lines
    this.#read = lines.length
  }

  /** The request with this user agent, of the case at `index`, leaves as many events. */
  expect(agent: string, events: number, index: number): void {
    this.#expected.set(agent, { events, index })
  }

  /** Takes in what was printed since. */
  read(): void {
    for (; this.#read < this.#lines.length; this.#read += 1) {
      const line = this.#lines[this.#read] ?? ''
      if (!line.includes('"audit_event"')) continue
      const agent = /"user_agent":"(f-[\d.]+)"/u.exec(line)?.[1]
      if (line.includes('"reason":"internal"') && this.#confused.length < MAX_CONFUSED) {
        const detail = /"detail":"((?:[^"\\]|\\.)*)"/u.exec(line)?.[1] ?? 'no detail'
        this.#confused.push({
          what: `audited as internal, ${detail.replaceAll('"', "'")}: ${line.slice(0, 800)}`,
          index: Number(agent?.split(/[-.]/u)[1] ?? -1),
        })
      }
      if (agent !== undefined) this.#seen.set(agent, (this.#seen.get(agent) ?? 0) + 1)
    }
  }

  /** Waits for events that are late; returns what is missing or too much. */
  async settle(): Promise<{ what: string; index: number }[]> {
    const deadline = Date.now() + SETTLE_MS
    for (;;) {
      this.read()
      const wrong = [...this.#expected].filter(([agent, { events }]) => (this.#seen.get(agent) ?? 0) !== events)
      if (wrong.length === 0 || Date.now() > deadline) {
        const miscounted = wrong.slice(0, MAX_REPORTED).map(([agent, { events, index }]) => ({
          what: `${this.#seen.get(agent) ?? 0} audit events of ${agent} instead of ${events} (${wrong.length} such requests)`,
          index,
        }))
        return [...this.#confused, ...miscounted]
      }
      await sleep(100)
    }
  }
}
