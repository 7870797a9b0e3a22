// The reference server behind the edge, over both legacy transports: somebody else's server, seen by a real client
// directly and through the edge.

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startEverything } from '../../examples/servers/everything.ts'
import type { Everything } from '../../examples/servers/everything.ts'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { entry, virtual } from '../peers/manifests.ts'
import { settle } from './journey.ts'

const deadline = { timeout: 60_000 }

const calls: Readonly<Record<string, Record<string, unknown>>> = {
  echo: { message: 'hello \u{1f41d}' },
  'get-sum': { a: 2, b: 40 },
  'get-tiny-image': {},
  'get-annotated-message': { messageType: 'error', includeImage: true },
  'get-structured-content': { location: 'Chicago' },
  'get-resource-links': { count: 2 },
  'get-resource-reference': { resourceType: 'Text', resourceId: 1 },
}

type Seen = Record<string, unknown>

async function visit(client: Client): Promise<Seen> {
  const seen: Seen = {
    tools: settle(await client.listTools(undefined, deadline)),
    prompts: settle(await client.listPrompts(undefined, deadline)),
    resources: settle(await client.listResources(undefined, deadline)),
    templates: settle(await client.listResourceTemplates(undefined, deadline)),
  }
  for (const [name, args] of Object.entries(calls)) {
    seen[name] = settle(await client.callTool({ name, arguments: args }, deadline))
  }
  seen['prompt'] = settle(await client.getPrompt({ name: 'simple-prompt' }, deadline))
  const steps: unknown[] = []
  const onprogress = (step: unknown): void => void steps.push(step)
  const long = { name: 'trigger-long-running-operation', arguments: { duration: 1, steps: 4 } }
  seen['long'] = settle(await client.callTool(long, { ...deadline, onprogress }))
  // The last step and the result are sent at once; a client may see them in either order.
  seen['steps'] = steps.slice(0, 3)
  await client.close()
  return JSON.parse(timeless(JSON.stringify(seen))) as Seen
}

/** Without the moment that the server writes into some resources. */
function timeless(text: string): string {
  return text.replaceAll(/\d{1,2}:\d\d:\d\d\s?(AM|PM)?/g, 'TIME')
}

/** Clients of 2026-07-28 drop what their revision removed from tools. */
function withoutExecution(seen: Seen): Seen {
  const drop = (key: string, value: unknown): unknown => (key === 'execution' ? undefined : value)
  return JSON.parse(JSON.stringify(seen, drop)) as Seen
}

/** The server shows some tools only to clients that can be asked; the edge lists what there is for any of them. */
const capabilities = { elicitation: { form: {}, url: {} }, sampling: {}, roots: {} }

function newClient(mode: 'auto' | 'legacy'): Client {
  return new Client({ name: 'visitor', version: '1' }, { versionNegotiation: { mode }, capabilities })
}

for (const transport of ['streamable-http', 'sse'] as const) {
  describe(`server-everything over ${transport}`, () => {
    let server: Everything
    let edge: TestEdge
    let direct: Seen

    before(async () => {
      server = await startEverything({ transport })
      const client = newClient('legacy')
      const url = new URL(server.url)
      await client.connect(
        transport === 'sse' ? new SSEClientTransport(url) : new StreamableHTTPClientTransport(url),
        deadline,
      )
      direct = await visit(client)
      edge = await startEdge({
        resources: [entry('everything', server.url, { transport }), virtual('everything', ['everything'])],
      })
      await edge.lists(edge.endpoint('everything'), ['echo'])
    })
    after(async () => {
      await edge?.close()
      await server?.close()
    })

    for (const mode of ['auto', 'legacy'] as const) {
      test(`an SDK v2 client (${mode}) sees through the edge what it sees directly`, async () => {
        const endpoint = edge.endpoint('everything')
        const client = newClient(mode)
        const headers = { authorization: `Bearer ${await edge.token(endpoint)}` }
        await client.connect(
          new StreamableHTTPClientTransport(new URL(endpoint), { requestInit: { headers } }),
          deadline,
        )
        const seen = await visit(client)
        const expected = mode === 'auto' ? withoutExecution(direct) : direct
        for (const [step, there] of Object.entries(expected)) assert.deepEqual(seen[step], there, step)
      })
    }
  })
}
