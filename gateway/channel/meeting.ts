// Where one request leaves a text for another one: whoever comes first waits. Everything in it is bounded and short-lived.

const KEEP_MS = 60_000
const MAX_KEPT = 1000
const MAX_CHARACTERS = 16 * 1024 * 1024

export class Meeting {
  readonly #kept = new Map<string, { text: string; timer: ReturnType<typeof setTimeout> }>()
  readonly #waiting = new Map<string, (text: string) => void>()
  #characters = 0

  /** What was or will be put under the key; undefined after `waitMs`. One taker per key. */
  async take(key: string, waitMs: number): Promise<string | undefined> {
    const kept = this.#forget(key)
    if (kept !== undefined) return kept
    const { promise, resolve } = Promise.withResolvers<string | undefined>()
    const timer = setTimeout(() => resolve(undefined), waitMs)
    this.#waiting.set(key, resolve)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
      if (this.#waiting.get(key) === resolve) this.#waiting.delete(key)
    }
  }

  /** False when too much lies here already. */
  put(key: string, text: string): boolean {
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) {
      this.#waiting.delete(key)
      waiting(text)
      return true
    }
    this.#forget(key)
    if (this.#kept.size >= MAX_KEPT || this.#characters + text.length > MAX_CHARACTERS) return false
    this.#characters += text.length
    this.#kept.set(key, { text, timer: setTimeout(() => this.#forget(key), KEEP_MS) })
    return true
  }

  #forget(key: string): string | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    clearTimeout(kept.timer)
    this.#kept.delete(key)
    this.#characters -= kept.text.length
    return kept.text
  }
}
