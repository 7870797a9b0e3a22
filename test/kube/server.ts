// An API server that does what a test scripts, fault by fault: each request is shown to the script, which answers,
// streams, hangs or resets. It remembers every request, so that tests can bound them.

import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Access } from '../../agent/kube/access.ts'
import type { KubeObject } from '../../agent/kube/object.ts'

export interface Asked {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

export type Script = (asked: Asked, reply: Reply) => void | Promise<void>

export class Reply {
  readonly #response: ServerResponse

  constructor(response: ServerResponse) {
    this.#response = response
  }

  json(status: number, body: unknown, headers: Record<string, string | string[]> = {}): void {
    this.#response.writeHead(status, { 'content-type': 'application/json', ...headers })
    this.#response.end(JSON.stringify(body))
  }

  /** A Status, as the API server refuses. */
  refuse(code: number, reason: string, headers: Record<string, string> = {}): void {
    this.json(code, { kind: 'Status', status: 'Failure', code, reason, message: `refused: ${reason}` }, headers)
  }

  /** Begins a stream: write events, then end, reset or leave it. */
  stream(): void {
    this.#response.writeHead(200, { 'content-type': 'application/json' })
    this.#response.flushHeaders()
  }

  event(type: string, object: unknown): void {
    this.#response.write(`${JSON.stringify({ type, object })}\n`)
  }

  raw(text: string): void {
    this.#response.write(text)
  }

  end(): void {
    this.#response.end()
  }

  /** RST: the connection breaks with whatever was under way. */
  reset(): void {
    this.#response.socket?.resetAndDestroy()
  }

  /** What was written is on its way when this resolves. */
  async flushed(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export class ScriptedServer {
  readonly asked: Asked[] = []
  readonly access: Access
  connections = 0
  readonly #close: () => void

  private constructor(server: ReturnType<typeof createServer>, access: Access) {
    this.access = access
    this.#close = () => {
      server.close()
      server.closeAllConnections()
    }
  }

  static async start(script: Script): Promise<ScriptedServer> {
    const box: { server?: ScriptedServer } = {}
    const http = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const url = new URL(request.url ?? '/', 'http://x')
        const text = Buffer.concat(chunks).toString('utf8')
        const asked: Asked = {
          method: request.method ?? '',
          path: url.pathname,
          query: url.searchParams,
          headers: request.headers,
          body: text === '' ? undefined : JSON.parse(text),
        }
        box.server?.asked.push(asked)
        void script(asked, new Reply(response))
      })
    })
    http.on('connection', () => {
      if (box.server !== undefined) box.server.connections += 1
    })
    const { promise, resolve } = Promise.withResolvers<void>()
    http.listen(0, '127.0.0.1', resolve)
    await promise
    const { port } = http.address() as AddressInfo
    const access = { server: `http://127.0.0.1:${port}`, authorization: () => Promise.resolve('Bearer t') }
    box.server = new ScriptedServer(http, access)
    return box.server
  }

  /** The object that the n-th request brought. */
  body(index: number): KubeObject {
    const body = this.asked[index]?.body
    if (typeof body !== 'object' || body === null) throw new Error(`request ${index} brought no object`)
    return body as KubeObject
  }

  close(): void {
    this.#close()
  }
}
