// Calls of legacy sessions that this isolate is waiting for, so that `notifications/cancelled` finds them. Best effort by
// nature: another isolate's calls are out of reach, and the protocol allows a cancellation to come too late.

const LIMIT = 10_000

export class InFlight {
  readonly #calls = new Map<string, () => void>()

  /** `request` is the JSON text of the client's request id. Returns how to forget the call. */
  add(session: string, request: string, cancel: () => void): () => void {
    const key = keyOf(session, request)
    if (this.#calls.size >= LIMIT || this.#calls.has(key)) return () => undefined
    this.#calls.set(key, cancel)
    return () => void this.#calls.delete(key)
  }

  cancel(session: string, request: string): boolean {
    const cancel = this.#calls.get(keyOf(session, request))
    cancel?.()
    return cancel !== undefined
  }
}

/** A client may spell one id in several ways. */
function keyOf(session: string, request: string): string {
  return `${session} ${JSON.stringify(JSON.parse(request))}`
}
