// The client libraries people use, each behind the same few methods.

import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Traveller } from './journey.ts'

export type V2Mode = 'auto' | 'legacy' | { pin: '2026-07-28' }

const info = { name: 'test-client', version: '1.0.0' }
const deadline = { timeout: 60_000 }

function authorization(token: string | undefined): { requestInit: RequestInit } | undefined {
  return token === undefined ? undefined : { requestInit: { headers: { authorization: `Bearer ${token}` } } }
}

/** Connects SDK v2 and says which era it ended up in. */
export async function connectV2(
  url: string,
  token: string | undefined,
  mode: V2Mode,
): Promise<Traveller & { readonly era: string | undefined }> {
  const client = new ClientV2(info, { versionNegotiation: { mode } })
  const transport = new TransportV2(new URL(url), authorization(token))
  await client.connect(transport, deadline)
  return {
    era: client.getProtocolEra(),
    listTools: () => client.listTools(undefined, deadline),
    listPrompts: () => client.listPrompts(undefined, deadline),
    listResources: () => client.listResources(undefined, deadline),
    listResourceTemplates: () => client.listResourceTemplates(undefined, deadline),
    callTool: (name, args, onprogress) =>
      client.callTool({ name, arguments: args }, { ...deadline, ...(onprogress && { onprogress }) }),
    getPrompt: (name, args) => client.getPrompt({ name, ...(args && { arguments: args }) }, deadline),
    readResource: (uri) => client.readResource({ uri }, deadline),
    complete: (params) => client.complete(params, deadline),
    close: async () => {
      if (transport.sessionId !== undefined) await transport.terminateSession()
      await client.close()
    },
  }
}

/** Connects SDK v1, which knows no era but its own. */
export async function connectV1(url: string, token: string | undefined): Promise<Traveller> {
  const client = new ClientV1(info)
  const transport = new TransportV1(new URL(url), authorization(token))
  await client.connect(transport, deadline)
  return {
    listTools: () => client.listTools(undefined, deadline),
    listPrompts: () => client.listPrompts(undefined, deadline),
    listResources: () => client.listResources(undefined, deadline),
    listResourceTemplates: () => client.listResourceTemplates(undefined, deadline),
    callTool: (name, args, onprogress) =>
      client.callTool({ name, arguments: args }, undefined, { ...deadline, ...(onprogress && { onprogress }) }),
    getPrompt: (name, args) => client.getPrompt({ name, ...(args && { arguments: args }) }, deadline),
    readResource: (uri) => client.readResource({ uri }, deadline),
    complete: (params) => client.complete(params, deadline),
    close: async () => {
      if (transport.sessionId !== undefined) await transport.terminateSession()
      await client.close()
    },
  }
}
