// A server behind a proxy that counts how often each call was executed: every call has a key of its own in its arguments.

import { setTimeout as sleep } from 'node:timers/promises'
import { listen, type Listening } from '../peers/listen.ts'

export interface Counter {
  readonly url: string
  /** Breaks all connections off and is away until `up`. */
  down(): Promise<void>
  up(): Promise<void>
  close(): Promise<void>
}

export interface CounterOptions {
  /** JSON of the tools. */
  readonly tools: readonly object[]
  /** Called with the key of a call when it is executed. */
  readonly execute: (key: string) => void
  /** How long a call takes, in milliseconds. */
  readonly workMs: number
}

/** A tool whose calls have a key; `hints` are its annotations. */
export function keyed(name: string, hints?: object): object {
  const inputSchema = { type: 'object', properties: { key: { type: 'string' } }, required: ['key'] }
  return { name, description: name, inputSchema, ...(hints !== undefined && { annotations: hints }) }
}

/** Speaks 2026-07-28 on a free port of 127.0.0.1. */
export async function startCounter({ tools, execute, workMs }: CounterOptions): Promise<Counter> {
  const cacheable = { ttlMs: 60_000, cacheScope: 'public' }
  const resultOf = async ({ method, params }: Asked): Promise<object | undefined> => {
    switch (method) {
      case 'server/discover':
        return { ...cacheable, supportedVersions: ['2026-07-28'], capabilities: { tools: {} } }
      case 'tools/list':
        return { ...cacheable, tools }
      case 'tools/call': {
        const key = params?.arguments?.key ?? ''
        execute(key)
        await sleep(workMs)
        return { content: [{ type: 'text', text: key }] }
      }
      default:
        return undefined
    }
  }
  const open = (port: number): Promise<Listening> =>
    listen((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (text: string) => (body += text))
      request.on('end', () => {
        if (request.method !== 'POST') return void response.writeHead(405).end()
        const asked = JSON.parse(body) as Asked
        if (asked.id === undefined) return void response.writeHead(202).end()
        const answer = async (): Promise<void> => {
          const result = await resultOf(asked)
          const said =
            result === undefined
              ? { error: { code: -32601, message: 'Method not found' } }
              : { result: { resultType: 'complete', ...result } }
          response.writeHead(200, { 'content-type': 'application/json' })
          response.end(JSON.stringify({ jsonrpc: '2.0', id: asked.id, ...said }))
        }
        void answer()
      })
    }, port)
  let server: Listening | undefined = await open(0)
  const { port } = server
  const down = async (): Promise<void> => {
    const known = server
    server = undefined
    await known?.close()
  }
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    down,
    up: async () => {
      server ??= await open(port)
    },
    close: down,
  }
}

interface Asked {
  readonly id?: string | number
  readonly method: string
  readonly params?: { readonly arguments?: { readonly key?: string } }
}
