// A loopback proxy that adds a bearer token, for clients that cannot send one (the conformance suite).
// Everything else passes as it is, in both directions and as it arrives; Host alone is rewritten to the target.

import { request as connect } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { listen } from './listen.ts'

export interface Bearer {
  /** Origin of the proxy: `http://127.0.0.1:<port>`. Paths are those of the target. */
  readonly url: string
  close(): Promise<void>
}

/** `target` is an origin. Both arguments are asked for every request, so the target may start after the proxy. */
export async function startBearer(target: () => string, token: () => Promise<string>): Promise<Bearer> {
  const server = await listen((request, response) => {
    forward(request, response, new URL(target()), token).catch((cause: unknown) => {
      response.destroy(cause instanceof Error ? cause : new Error(String(cause)))
    })
  })
  return { url: server.url, close: () => server.close() }
}

async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  target: URL,
  token: () => Promise<string>,
): Promise<void> {
  const headers = ['Host', target.host, 'Authorization', `Bearer ${await token()}`]
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at] ?? ''
    if (!/^(host|authorization|connection)$/i.test(name)) headers.push(name, request.rawHeaders[at + 1] ?? '')
  }
  const upstream = connect({
    host: target.hostname,
    port: target.port,
    method: request.method,
    path: request.url,
    headers,
  })
  upstream.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
    response.flushHeaders()
    answer.pipe(response)
    answer.on('error', (cause) => response.destroy(cause))
  })
  upstream.on('error', (cause) => response.destroy(cause))
  // A client that goes away must be seen by the target: closing a stream is cancellation.
  response.on('close', () => upstream.destroy())
  request.pipe(upstream)
}
