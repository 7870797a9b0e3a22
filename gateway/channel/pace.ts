// How fast a server is heard outside of calls: one that talks without end must leave a turn to all who share the object.

/** What one stream may say in this time. */
const PACE_MS = 1_000
const MAX_MESSAGES = 200
const MAX_CHARACTERS = 1024 * 1024

export class Pace {
  #since = 0
  #messages = 0
  #characters = 0

  /** Waits when this second has had its share; `now` in milliseconds since the epoch. */
  async after(characters: number, now: number): Promise<void> {
    if (now - this.#since >= PACE_MS) {
      this.#since = now
      this.#messages = 0
      this.#characters = 0
    }
    this.#messages += 1
    this.#characters += characters
    if (this.#messages < MAX_MESSAGES && this.#characters < MAX_CHARACTERS) return
    await new Promise((resolve) => setTimeout(resolve, this.#since + PACE_MS - now))
  }
}
