// The network between a client library and the edge: real fetches whose connections can be cut and, for a while, refused.

export class Wire {
  readonly #open = new Map<AbortController, 'GET' | 'POST'>()
  /** Event streams opened so far, by method. */
  readonly opened = { GET: 0, POST: 0 }
  #down: Promise<void> | undefined
  #mend: (() => void) | undefined

  /** For a client library's `fetch` option. */
  readonly fetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const method = init?.method === 'POST' ? 'POST' : 'GET'
    if (method === 'GET') await this.#down
    const controller = new AbortController()
    const signal = init?.signal ? AbortSignal.any([init.signal, controller.signal]) : controller.signal
    const response = await fetch(input, { ...init, signal })
    if (response.headers.get('content-type')?.includes('text/event-stream') === true) {
      this.opened[method] += 1
      this.#open.set(controller, method)
    }
    return response
  }

  /** Breaks all open event streams of a method, as a lost network does. With `stay`, GETs wait until `mend`. */
  cut(method: 'GET' | 'POST', stay = false): void {
    if (stay) this.#down = new Promise((resolve) => (this.#mend = resolve))
    for (const [controller, of] of this.#open) {
      if (of !== method) continue
      this.#open.delete(controller)
      controller.abort(new Error('the network is gone'))
    }
  }

  mend(): void {
    this.#mend?.()
    this.#down = undefined
  }
}
