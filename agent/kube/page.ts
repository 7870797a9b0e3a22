// A small HTTP server for machines inside the cluster: probes and scrapes. GET only, small answers, nothing is read.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Registry } from 'prom-client'
import type { Health } from './health.ts'

export interface Page {
  readonly status: number
  readonly contentType: string
  readonly text: string
}

export interface PageServer {
  readonly port: number
  close(): Promise<void>
}

/** Serves pages by path; a page is made anew for every request. Port 0: any free one. */
export async function servePages(
  pages: Readonly<Record<string, () => Page | Promise<Page>>>,
  port: number,
  host?: string,
): Promise<PageServer> {
  const byPath = new Map(Object.entries(pages))
  const server = createServer((request, response) => {
    const send = (page: Page): void => {
      response.writeHead(page.status, { 'content-type': page.contentType, connection: 'close' })
      response.end(request.method === 'HEAD' ? undefined : page.text)
    }
    const make = byPath.get((request.url ?? '').split('?')[0] ?? '')
    if (make === undefined) return send(plain(404, 'not found\n'))
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(plain(405, 'GET only\n'))
    const answer = async (): Promise<Page> => make()
    answer().then(send, () => send(plain(500, 'failed\n')))
  })
  server.requestTimeout = 5_000
  server.headersTimeout = 5_000
  server.maxConnections = 64
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(port, host, resolve)
  await promise
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((done) => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}

/** What is asked of a pod, on two ports: whether it lives and is ready, and what it counts. */
export async function servePod(pod: {
  readonly health: Pick<Health, 'live' | 'ready'>
  readonly healthPort: number
  readonly registry: Registry
  readonly metricsPort: number
}): Promise<PageServer[]> {
  const { health, registry } = pod
  const live = (): Page => probe(health.live())
  const ready = (): Page => probe(health.ready())
  const metrics = async (): Promise<Page> => {
    return { status: 200, contentType: registry.contentType, text: await registry.metrics() }
  }
  return [
    await servePages({ '/livez': live, '/healthz': live, '/readyz': ready }, pod.healthPort),
    await servePages({ '/metrics': metrics }, pod.metricsPort),
  ]
}

/** A probe's answer. */
export function probe(state: { readonly ok: boolean; readonly text: string }): Page {
  return plain(state.ok ? 200 : 503, state.text)
}

export function plain(status: number, text: string): Page {
  return { status, contentType: 'text/plain; charset=utf-8', text }
}
