// The last events of a session's GET stream, so that a client that lost its connection misses nothing (MCP 2025-11-25,
// basic/transports, resumability). Bounded; an id that is not known any more is a gap, and the caller says so.

import type { Budget, Holder } from './budget.ts'

const MAX_EVENTS = 256
const MAX_CHARACTERS = 256 * 1024

export class History implements Holder {
  readonly #budget: Budget
  /** Tells ids of this history from those of one that was lost. */
  readonly #name = crypto.randomUUID().slice(0, 8)
  #events: { readonly number: number; readonly text: string }[] = []
  #characters = 0
  #last = 0

  constructor(budget: Budget) {
    this.#budget = budget
  }

  get held(): number {
    return this.#characters
  }

  /** Forgets all events: whoever asks for one meets a gap. */
  drop(): void {
    const { held } = this
    this.#events = []
    this.#characters = 0
    if (held > 0) this.#budget.changed(this, -held)
  }

  /** Id of the newest event, or of the beginning. */
  get id(): string {
    return `${this.#name}.${this.#last}`
  }

  /** Remembers an event and gives it its id. */
  add(text: string): string {
    this.#last += 1
    const before = this.#characters
    this.#events.push({ number: this.#last, text })
    this.#characters += text.length
    while (this.#events.length > MAX_EVENTS || this.#characters > MAX_CHARACTERS) {
      this.#characters -= this.#events.shift()?.text.length ?? 0
    }
    this.#budget.changed(this, this.#characters - before)
    return this.id
  }

  /** Events after an id, with their ids; undefined when some of them are lost. */
  after(id: string): { readonly id: string; readonly text: string }[] | undefined {
    const [name, digits = ''] = id.split('.', 2)
    const number = /^\d{1,15}$/u.test(digits) ? Number(digits) : Number.NaN
    const first = this.#last - this.#events.length
    if (name !== this.#name || !(number >= first && number <= this.#last)) return undefined
    return this.#events
      .filter((event) => event.number > number)
      .map((event) => ({ id: `${this.#name}.${event.number}`, text: event.text }))
  }
}
