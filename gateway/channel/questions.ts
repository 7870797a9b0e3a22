// What one server asks outside of calls, bounded by the minute as a call's questions are by the call: neither its client nor
// the edge pays for more, however fast it asks.

import type { Message } from '../../protocol/envelope.ts'
import { MAX_QUESTIONS, Questions } from '../ask.ts'

const PERIOD_MS = 60_000
/** Refusals on their way at once; a server that asks faster than it listens goes without. */
const MAX_DECLINING = 8

export class RecentQuestions {
  #questions = new Questions()
  #since = 0
  #asked = 0
  #declining = 0

  /** Whether one more may be asked now; counts it, since sealing it takes a while. `now` in milliseconds since the epoch. */
  mayAsk(now: number): boolean {
    if (now - this.#since > PERIOD_MS) {
      this.#questions = new Questions()
      this.#since = now
      this.#asked = 0
    }
    this.#asked += 1
    return this.#asked <= MAX_QUESTIONS
  }

  /** As `Questions.add`. */
  add(id: string, posed: string): void {
    this.#questions.add(id, posed)
  }

  /** As `Questions.takeBack`. */
  takeBack(message: Message): string | undefined {
    return this.#questions.takeBack(message)
  }

  /** Sends a refusal, unless too many are on their way. Never throws. */
  async decline(send: () => Promise<unknown>): Promise<void> {
    if (this.#declining >= MAX_DECLINING) return
    this.#declining += 1
    try {
      await send()
    } catch {
      // Calls meet the same trouble and say so.
    } finally {
      this.#declining -= 1
    }
  }
}
