// The internal port: probes and metrics for the cluster, and the catalog for the virtual servers that may read it.

import { Hono } from 'hono'
import { ASSERTION_HEADER } from '../../gateway/auth/assertion.ts'
import { fingerprint } from '../../gateway/catalog/hash.ts'
import { publish } from '../../gateway/catalog/published.ts'
import { Fault } from '../../protocol/fault.ts'
import { CATALOG_PATH, DIGEST_HEADER, POLL_SECONDS } from '../catalog/member-source.ts'
import type { Metrics } from './metrics.ts'
import type { State } from './state.ts'

/** Readers that may wait at once: each virtual server has one, times its replicas. */
const MAX_WAITING = 512

export interface InternalHost {
  readonly state: State
  readonly metrics: Metrics
  /** Why no traffic should come; undefined when it may. */
  readonly notReady: () => string | undefined
  readonly news: News
}

export function internal(host: InternalHost): Hono {
  const app = new Hono()
  app.get('/livez', (c) => c.text('ok'))
  app.get('/readyz', (c) => {
    const reason = host.notReady()
    return reason === undefined ? c.text('ok') : c.text(reason, 503)
  })
  app.get('/metrics', async (c) => c.body(await host.metrics.text(), 200, { 'content-type': host.metrics.contentType }))
  app.get(CATALOG_PATH, async (c) => {
    const assertion = c.req.header(ASSERTION_HEADER)
    let reader: string | undefined
    try {
      reader = await host.state.verifier?.reader(assertion ?? '')
    } catch (error) {
      if (error instanceof Fault) return c.json({ error: 'unauthorized' }, 401)
      throw error
    }
    if (reader === undefined) return c.json({ error: 'not_ready' }, 503)
    return catalog(c.req.query('digest'), reader, host, c.req.raw.signal)
  })
  app.onError((_error, c) => c.json({ error: 'internal' }, 500))
  return app
}

/** The catalog when it differs from what the reader has, else 204 when the reader has waited long enough. */
async function catalog(
  known: string | undefined,
  reader: string,
  { state, news }: InternalHost,
  left: AbortSignal,
): Promise<Response> {
  const until = performance.now() + POLL_SECONDS * 1000
  for (;;) {
    // Trust may have ended while the reader waited.
    if (state.config?.signers.some(({ issuer, uses }) => issuer === reader && uses.includes('catalog')) !== true)
      return Response.json({ error: 'unauthorized' }, { status: 401 })
    const current = published(state)
    if (current !== undefined && current.digest !== known)
      return new Response(current.text, {
        headers: { 'content-type': 'application/json', [DIGEST_HEADER]: current.digest },
      })
    const rest = until - performance.now()
    if (rest <= 0 || left.aborted) return new Response(null, { status: current === undefined ? 503 : 204 })
    if (!(await news.next(rest, left))) return new Response(null, { status: 503, headers: { 'retry-after': '5' } })
  }
}

const texts = new WeakMap<object, { readonly text: string; readonly digest: string }>()

/** What the proxy publishes of its one server; undefined while that has not been seen. */
export function published({ endpoint }: State): { readonly text: string; readonly digest: string } | undefined {
  if (endpoint === undefined) return undefined
  const known = texts.get(endpoint.catalog)
  if (known !== undefined) return known
  const text = publish(endpoint.catalog)
  if (text === undefined) return undefined
  const made = { text, digest: fingerprint(text) }
  texts.set(endpoint.catalog, made)
  return made
}

/** Lets readers wait for whatever happens next. */
export class News {
  readonly #waiting = new Set<() => void>()
  #ended = false

  tell(): void {
    for (const wake of this.#waiting) wake()
  }

  /** Nobody waits any more. */
  end(): void {
    this.#ended = true
    this.tell()
  }

  /** Resolves with the next news, or after this time, or when the reader leaves; false when too many wait, or none may. */
  async next(milliseconds: number, left: AbortSignal): Promise<boolean> {
    if (this.#ended || this.#waiting.size >= MAX_WAITING) return false
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, milliseconds)
    this.#waiting.add(resolve)
    left.addEventListener('abort', () => resolve(), { once: true })
    await promise
    this.#waiting.delete(resolve)
    clearTimeout(timer)
    return !this.#ended
  }
}
