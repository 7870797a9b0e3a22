// A server's catalog from the server itself: connects, lists everything within bounds, and listens for `list_changed` where
// the server offers it.

import { connect, type Peer } from '../../gateway/backend/connect.ts'
import { drain } from '../../gateway/backend/drain.ts'
import { heed, tellsChanges } from '../../gateway/backend/news.ts'
import type { Upstream } from '../../gateway/backend/upstream.ts'
import type { Look, Source } from '../catalog/keeper.ts'

const CLOSE_MS = 5_000

export class ServerSource implements Source {
  readonly deadlineMs = 20_000
  readonly #upstream: Upstream
  readonly #said: () => void
  #listening: AbortController | undefined
  #closed = false

  /** `said` is called when the server says that its catalog changed, or may have without our knowing. */
  constructor(upstream: Upstream, said: () => void) {
    this.#upstream = upstream
    this.#said = said
  }

  async look(signal: AbortSignal): Promise<Look> {
    const peer = await connect(this.#upstream, signal)
    try {
      const catalog = await drain(peer, signal)
      if (tellsChanges(catalog) && this.#listening === undefined && !this.#closed) void this.#listen(peer)
      else void peer.close(AbortSignal.timeout(CLOSE_MS))
      return { catalog, againMs: catalog.ttlMs }
    } catch (error) {
      void peer.close(AbortSignal.timeout(CLOSE_MS))
      throw error
    }
  }

  close(): void {
    this.#closed = true
    this.#listening?.abort()
  }

  /** Never throws. */
  async #listen(peer: Peer): Promise<void> {
    const stop = new AbortController()
    this.#listening = stop
    const listened = await heed(peer, stop.signal, this.#said)
    this.#listening = undefined
    // Whatever it would have said is found by asking, and that opens the next one.
    if (listened && !this.#closed) this.#said()
    await peer.close(AbortSignal.timeout(CLOSE_MS))
  }
}
