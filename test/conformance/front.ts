// The client at the edge's front while the suite judges the edge's back: the real SDK, in either era.
// It can be asked everything, says yes with what the form proposes, and lets an exercise act in between.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import type { CallToolResult } from '@modelcontextprotocol/client'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'

export type FrontEra = 'modern' | 'legacy'

export interface Front {
  readonly client: Client
  /** Runs before an elicitation is answered. */
  asked: (message: string) => Promise<void>
  /** Calls a tool; the deadline is 15 s. */
  call(name: string, args?: Readonly<Record<string, unknown>>): Promise<CallToolResult>
  /** Sends a request of any method. */
  send(method: string): Promise<unknown>
  close(): Promise<void>
}

const deadline = { timeout: 60_000 }

/** Connects to an endpoint of the edge. */
export async function connect(url: string, token: string, era: FrontEra): Promise<Front> {
  const client = new Client(
    { name: 'conformance-front', version: '1.0.0' },
    {
      versionNegotiation: { mode: era === 'modern' ? { pin: '2026-07-28' } : 'legacy' },
      capabilities: { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} },
    },
  )
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers: { authorization: `Bearer ${token}` } },
  })
  const front: Front = {
    client,
    asked: () => Promise.resolve(),
    call: (name, args = {}) => client.callTool({ name, arguments: args }, deadline),
    send: (method) => client.request({ method, params: {} }, z.looseObject({}), deadline),
    close: async () => {
      if (transport.sessionId !== undefined) await transport.terminateSession()
      await client.close()
    },
  }
  client.setRequestHandler('elicitation/create', async ({ params }) => {
    await front.asked(params.message)
    return { action: 'accept', content: 'confirmed' in properties(params) ? { confirmed: true } : {} }
  })
  await client.connect(transport, deadline)
  // The library opens the stream of a session on the side and does not say when it is there.
  if (era === 'legacy') await sleep(500)
  return front
}

function properties(params: object): object {
  const schema: unknown = 'requestedSchema' in params ? params.requestedSchema : undefined
  if (typeof schema !== 'object' || schema === null || !('properties' in schema)) return {}
  return typeof schema.properties === 'object' && schema.properties !== null ? schema.properties : {}
}
