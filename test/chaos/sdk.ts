// Callers with the client libraries people use. What the library sends again by itself is counted as sent.

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js'
import type { Outcome } from './outcome.ts'
import type { Call } from './thin.ts'
import { wantedWord } from './tool.ts'

export type Library = 'v1' | 'v2 legacy' | 'v2 modern'

export interface SdkOptions {
  readonly library: Library
  /** The endpoint as the client reaches it. */
  readonly url: string
  readonly token: string
  readonly sent: (key: string) => void
}

const info = { name: 'chaos', version: '1' }
const capabilities = { elicitation: { form: {} } }
/** The libraries' own code for a request that was given up. */
const TIMEOUTS = new Set<unknown>([-32001, 'REQUEST_TIMEOUT'])
const KEY = /"key":"([^"]+)"/

interface Connected {
  call(call: Call): Promise<{ readonly content?: unknown; readonly isError?: unknown }>
  close(): Promise<void>
}

export class Sdk {
  readonly #options: SdkOptions
  #connected: Connected | undefined

  constructor(options: SdkOptions) {
    this.#options = options
  }

  /** As `Thin.call`; `leaveMs` and `pauseMs` are not for libraries. One call at a time. */
  async call(call: Call): Promise<Outcome> {
    try {
      this.#connected ??= await this.#connect(call.deadlineMs)
      const result = await this.#connected.call(call)
      const [content] = result.content as readonly { readonly text?: string }[]
      return { kind: 'result', text: content?.text ?? '', isError: result.isError === true }
    } catch (error) {
      const outcome = failure(error)
      // What people do who meet a broken connection or session: connect again.
      if (outcome.kind !== 'refused' || outcome.reason === 'session_not_found') await this.#drop()
      return outcome
    }
  }

  async leave(): Promise<void> {
    await this.#drop()
  }

  async #drop(): Promise<void> {
    const connected = this.#connected
    this.#connected = undefined
    await connected?.close().catch(() => undefined)
  }

  async #connect(timeout: number): Promise<Connected> {
    const { library, url, token, sent } = this.#options
    const counting = (input: string | URL, init?: RequestInit): Promise<Response> => {
      const body = typeof init?.body === 'string' ? init.body : ''
      const key = body.includes('"tools/call"') && !body.includes('"inputResponses"') ? KEY.exec(body)?.[1] : undefined
      if (key !== undefined) sent(key)
      return fetch(input, init)
    }
    const options = { requestInit: { headers: { authorization: `Bearer ${token}` } }, fetch: counting }
    const elicited = async ({ params }: { readonly params: unknown }) => ({
      action: 'accept' as const,
      content: { word: wantedWord(params) },
    })
    if (library === 'v1') {
      const client = new ClientV1(info, { capabilities })
      client.setRequestHandler(ElicitRequestSchema, elicited)
      const transport = new TransportV1(new URL(url), options)
      await connected(client, () => client.connect(transport, { timeout }))
      return {
        call: async ({ tool, work, deadlineMs }) => {
          const params = { name: tool, arguments: { ...work } }
          const { content, isError } = await client.callTool(params, undefined, limits(work.steps, deadlineMs))
          return { content, isError }
        },
        close: async () => {
          await transport.terminateSession().catch(() => undefined)
          await client.close()
        },
      }
    }
    const mode = library === 'v2 modern' ? ({ pin: '2026-07-28' } as const) : ('legacy' as const)
    const client = new ClientV2(info, { capabilities, versionNegotiation: { mode } })
    client.setRequestHandler('elicitation/create', elicited)
    const transport = new TransportV2(new URL(url), options)
    await connected(client, () => client.connect(transport, { timeout }))
    return {
      call: ({ tool, work, deadlineMs }) =>
        client.callTool({ name: tool, arguments: { ...work } }, limits(work.steps, deadlineMs)),
      close: async () => {
        if (transport.sessionId !== undefined) await transport.terminateSession().catch(() => undefined)
        await client.close()
      },
    }
  }
}

/** A client that does not get through is closed, so that it does not go on trying by itself. */
async function connected(client: { close(): Promise<void> }, connect: () => Promise<void>): Promise<void> {
  try {
    await connect()
  } catch (error) {
    await client.close().catch(() => undefined)
    throw error
  }
}

function limits(steps: number, timeout: number): { timeout: number; onprogress?: () => void } {
  return steps > 0 ? { timeout, onprogress: () => {} } : { timeout }
}

/** A library's error: one that the edge sent has a number and data, everything else is a connection that failed. */
function failure(error: unknown): Outcome {
  const { code, data, message } = error as {
    readonly code?: unknown
    readonly data?: unknown
    readonly message?: string
  }
  if (TIMEOUTS.has(code)) return { kind: 'hung' }
  const reason = (data as { readonly reason?: unknown } | undefined)?.reason
  if (typeof reason === 'string') return { kind: 'refused', status: 200, code: Number(code), reason }
  // Statuses other than 200 reach the caller as text only.
  const [, found] = /"reason":"([a-z_]+)"/.exec(message ?? '') ?? []
  if (found !== undefined) return { kind: 'refused', status: 0, code: 0, reason: found }
  return { kind: 'lost', what: String(message).slice(0, 120) }
}
