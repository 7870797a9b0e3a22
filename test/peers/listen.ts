// Loopback HTTP servers for tests: always 127.0.0.1, a free port unless one is asked for, closed with all their connections.

import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'

export interface Listening {
  /** `http://127.0.0.1:<port>` */
  readonly url: string
  readonly port: number
  readonly server: Server
  /** Ends open connections too, so a test never waits for a stream that nobody reads. */
  close(): Promise<void>
}

/** Listens on 127.0.0.1; rejects when the port is taken. */
export async function listen(handler: RequestListener, port = 0): Promise<Listening> {
  // Header bounds are the job of the peer under test, so ours are wide.
  const server = createServer({ maxHeaderSize: 1 << 20 }, handler)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const loopback = new Set(['127.0.0.1', 'localhost', '[::1]'])

/** Whether Host and Origin (when present) name this machine: the DNS rebinding check of a local server. */
export function hostHeaderAllowed(request: Request): boolean {
  const host = request.headers.get('host')
  if (host !== null && !loopback.has(hostname(`http://${host}`))) return false
  const origin = request.headers.get('origin')
  return origin === null || loopback.has(hostname(origin))
}

function hostname(url: string): string {
  return URL.canParse(url) ? new URL(url).hostname : ''
}
