// For tests: an HTTP server that answers as a test tells it and keeps what it was asked, and a terminal that keeps what was printed.

import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text as readText } from 'node:stream/consumers'
import type { TestContext } from 'node:test'
import { run } from './main.ts'

export interface Asked {
  method: string
  /** Path with query. */
  path: string
  authorization: string | undefined
  body: unknown
}

export interface Answer {
  status?: number
  headers?: Record<string, string>
  body?: unknown
}

export interface ScriptedEdge {
  url: string
  asked: Asked[]
}

/** Starts an edge that answers each request by `answer`; undefined: 404. */
export async function scriptedEdge(
  t: TestContext,
  answer: (asked: Asked, edge: ScriptedEdge) => Answer | undefined,
): Promise<ScriptedEdge> {
  const edge: ScriptedEdge = { url: '', asked: [] }
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const text = await readText(request)
    const asked = {
      method: request.method ?? '',
      path: request.url ?? '',
      authorization: request.headers.authorization,
      body: text === '' ? undefined : (JSON.parse(text) as unknown),
    }
    edge.asked.push(asked)
    const missing = { status: 404, body: { error: { reason: 'not_found', message: 'There is no such thing.' } } }
    const { status = 200, headers = {}, body }: Answer = answer(asked, edge) ?? missing
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  }
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const bound = server.address()
  edge.url = `http://127.0.0.1:${typeof bound === 'object' && bound !== null ? bound.port : 0}`
  return edge
}

export interface Terminal {
  /** Runs a command line to its end; fills `out` and `err` anew. */
  run(argv: readonly string[], stdin?: string): Promise<number>
  out: string[]
  err: string[]
  env: Record<string, string>
  open?: (url: string) => void
}

/** A terminal with a home folder of its own, removed with the test. */
export async function terminal(t: TestContext, env: Record<string, string> = {}): Promise<Terminal> {
  const home = await mkdtemp(join(tmpdir(), 'waggle-cli-'))
  t.after(() => rm(home, { recursive: true, force: true }))
  const screen: Terminal = {
    out: [],
    err: [],
    env: { XDG_CONFIG_HOME: home, ...env },
    run: (argv, stdin = '') => {
      screen.out = []
      screen.err = []
      const { open } = screen
      return run(argv, {
        env: screen.env,
        stdin: Readable.from(stdin === '' ? [] : [Buffer.from(stdin)]),
        out: (line) => void screen.out.push(...line.split('\n')),
        err: (line) => void screen.err.push(...line.split('\n')),
        ...(open !== undefined && { open }),
      })
    },
  }
  return screen
}
