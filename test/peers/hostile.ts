// A backend that misbehaves on demand: healthy at first, so that the edge lists it, then broken in one exact way.
// Every fault is bounded by the life of the connection, so a test ends when the edge gives up.

import type { ServerResponse } from 'node:http'
import { startRecorder } from './recorder.ts'
import type { Received, Recorder, RecorderOptions } from './recorder.ts'

export const faults = [
  'down',
  'reset',
  'hang before headers',
  'hang in the body',
  'status 500',
  'status 503 with HTML',
  'HTML with status 200',
  'half a body',
  'a body of 100 MB',
  'an event of 100 MB',
  'invalid JSON',
  'not JSON-RPC',
  'a million tools',
  'endless cursors',
  'the same cursor again',
  'redirect to the metadata address',
  'redirect to another loopback port',
  'slow drip',
  'a wrong id',
  'a wrong content type',
  'huge headers',
  'an event stream that ends early',
  'an endless event stream',
  'session lost',
  'status 401',
  'status 403',
  'status 429',
] as const

export type FaultName = (typeof faults)[number]

export interface Hostile extends Recorder {
  /** Misbehaves from now on, for the requests that `only` selects (default: all). */
  misbehave(fault: FaultName, only?: (received: Received) => boolean): void
  behave(): void
  /** How many bytes were written since the last `misbehave`. */
  written(): number
}

export interface HostileOptions extends RecorderOptions {
  /** Where `redirect to another loopback port` points. */
  readonly decoy?: string
}

const headersJson = { 'content-type': 'application/json' }
const headersSse = { 'content-type': 'text/event-stream' }
const block = ' '.repeat(1 << 16)

/** Starts a backend that behaves until told otherwise. */
export async function startHostile(options: HostileOptions = {}): Promise<Hostile> {
  const recorder = await startRecorder(options)
  let bytes = 0

  /** Writes what `next` returns until it returns undefined or the peer goes away, with back-pressure. */
  function pump(response: ServerResponse, next: () => string | undefined): void {
    const step = (): void => {
      while (!response.destroyed) {
        const chunk = next()
        if (chunk === undefined) {
          response.end()
          return
        }
        bytes += chunk.length
        if (!response.write(chunk)) {
          response.once('drain', step)
          return
        }
      }
    }
    step()
  }

  /** As `pump`, one chunk every `pauseMs`. */
  function drip(response: ServerResponse, next: () => string, pauseMs: number): void {
    const timer = setInterval(() => response.write(next()), pauseMs)
    response.on('close', () => clearInterval(timer))
  }

  function filler(prefix: string, suffix: string, length: number): () => string | undefined {
    let left = length
    let state: 'start' | 'middle' | 'end' = 'start'
    return () => {
      if (state === 'start') {
        state = 'middle'
        return prefix
      }
      if (state === 'end') return undefined
      left -= block.length
      if (left > 0) return block
      state = 'end'
      return suffix
    }
  }

  function tools(from: number, count: number): string {
    const one = (index: number): string => `{"name":"tool_${index}","inputSchema":{"type":"object"}}`
    return Array.from({ length: count }, (_, index) => one(from + index)).join(',')
  }

  function listOf(id: string, body: string, more: string): string {
    return `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete","ttlMs":1000,"cacheScope":"public"${more},"tools":[${body}]}}`
  }

  let cursor = 0

  function act(fault: FaultName, received: Received, response: ServerResponse): boolean {
    const id = JSON.stringify(received.message?.id ?? null)
    const isList = received.message?.method === 'tools/list'
    const good = `{"jsonrpc":"2.0","id":${id},"result":{"resultType":"complete","content":[],"tools":[]}}`
    switch (fault) {
      case 'down':
      case 'reset':
        response.socket?.resetAndDestroy()
        return true
      case 'hang before headers':
        return true
      case 'hang in the body':
        response.writeHead(200, headersJson).write('{"jsonrpc":"2.0",')
        return true
      case 'status 500':
        response.writeHead(500, headersJson).end('{"error":"the backend broke"}')
        return true
      case 'status 503 with HTML':
        response.writeHead(503, { 'content-type': 'text/html' }).end('<h1>Service unavailable</h1>')
        return true
      case 'HTML with status 200':
        response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Please sign in</h1>')
        return true
      case 'half a body':
        response.writeHead(200, { ...headersJson, 'content-length': String(good.length) })
        response.write(good.slice(0, good.length / 2), () => response.socket?.destroy())
        return true
      case 'a body of 100 MB':
        response.writeHead(200, headersJson)
        pump(response, filler('{"jsonrpc":"2.0","pad":"', `","id":${id},"result":{}}`, 100e6))
        return true
      case 'an event of 100 MB':
        response.writeHead(200, headersSse)
        pump(response, filler('data: {"jsonrpc":"2.0","pad":"', `","id":${id},"result":{}}\n\n`, 100e6))
        return true
      case 'invalid JSON':
        response.writeHead(200, headersJson).end('{"jsonrpc":"2.0","id":1,"result":{"content":[}')
        return true
      case 'not JSON-RPC':
        response.writeHead(200, headersJson).end('["hello"]')
        return true
      case 'a million tools': {
        if (!isList) return false
        let at = 0
        response.writeHead(200, headersJson)
        pump(response, () => {
          if (at > 1_000_000) return undefined
          const first = at === 0
          const chunk = tools(at, 1000)
          at += 1000
          if (first) return listOf(id, chunk, '').slice(0, -3)
          return at > 1_000_000 ? ']}}' : `,${chunk}`
        })
        return true
      }
      case 'endless cursors':
        if (!isList) return false
        cursor += 1
        response.writeHead(200, headersJson).end(listOf(id, tools(cursor * 10, 10), `,"nextCursor":"c${cursor}"`))
        return true
      case 'the same cursor again':
        if (!isList) return false
        response.writeHead(200, headersJson).end(listOf(id, tools(0, 10), ',"nextCursor":"again"'))
        return true
      case 'redirect to the metadata address':
        response.writeHead(307, { location: 'http://169.254.169.254/latest/meta-data/' }).end()
        return true
      case 'redirect to another loopback port':
        response.writeHead(307, { location: options.decoy ?? 'http://127.0.0.1:1/' }).end()
        return true
      case 'slow drip':
        response.writeHead(200, headersJson)
        drip(response, () => ' ', 200)
        return true
      case 'a wrong id':
        response.writeHead(200, headersJson).end(good.replace(`"id":${id}`, '"id":"somebody else"'))
        return true
      case 'a wrong content type':
        response.writeHead(200, { 'content-type': 'application/octet-stream' }).end(good)
        return true
      case 'huge headers':
        response.writeHead(200, { ...headersJson, 'x-padding': 'x'.repeat(900_000) }).end(good)
        return true
      case 'an event stream that ends early':
        response.writeHead(200, headersSse).end(': nothing follows\n\n')
        return true
      case 'an endless event stream':
        response.writeHead(200, headersSse)
        drip(response, () => 'data: {"jsonrpc":"2.0","method":"notifications/message","params":{}}\n\n', 20)
        return true
      case 'session lost':
        recorder.forgetSessions()
        return false
      case 'status 401':
        response.writeHead(401, { 'www-authenticate': 'Bearer realm="backend"' }).end()
        return true
      case 'status 403':
        response.writeHead(403, headersJson).end('{"error":"no"}')
        return true
      case 'status 429':
        response.writeHead(429, { ...headersJson, 'retry-after': '7' }).end('{"error":"slow down"}')
        return true
    }
  }

  return Object.assign(recorder, {
    misbehave: (fault: FaultName, only: (received: Received) => boolean = () => true) => {
      bytes = 0
      if (fault === 'down') void recorder.close()
      recorder.takeover = (received, response) => only(received) && act(fault, received, response)
    },
    behave: () => {
      recorder.takeover = undefined
    },
    written: () => bytes,
  })
}
