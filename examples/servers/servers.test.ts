import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { networkInterfaces } from 'node:os'
import { test } from 'node:test'
import { Client, SSEClientTransport, StreamableHTTPClientTransport, type Transport } from '@modelcontextprotocol/client'
import { startEverything } from './everything.ts'
import { startModern } from './modern.ts'

async function connect(transport: Transport, versionNegotiation?: { mode: 'auto' | 'legacy' }) {
  const client = new Client(
    { name: 'test', version: '1' },
    versionNegotiation === undefined ? {} : { versionNegotiation },
  )
  await client.connect(transport)
  return client
}

test('the incident board speaks 2026-07-28 only, and shows all of it', async () => {
  const server = await startModern()
  try {
    const client = await connect(new StreamableHTTPClientTransport(new URL(server.url)), { mode: 'auto' })
    assert.equal(client.getProtocolEra(), 'modern')
    const { tools } = await client.listTools()
    assert.deepEqual(
      tools.map((tool) => tool.name),
      [
        'list_incidents',
        'get_incident',
        'diagnose_service',
        'open_incident',
        'add_note',
        'resolve_incident',
        'reset_board',
      ],
    )

    const opened = await client.callTool({
      name: 'open_incident',
      arguments: { title: 'Mail is late', service: 'mail' },
    })
    const { id } = opened.structuredContent as { id: string }
    await client.callTool({ name: 'resolve_incident', arguments: { id, resolution: 'Queue drained' } })
    const read = await client.readResource({ uri: `board://incidents/${id}` })
    assert.match(JSON.stringify(read.contents), /Resolved: Queue drained/)

    const steps: number[] = []
    const diagnosis = await client.callTool(
      { name: 'diagnose_service', arguments: { service: 'checkout' } },
      { onprogress: (progress) => steps.push(progress.progress) },
    )
    assert.deepEqual(steps, [0, 1, 2, 3, 4])
    assert.match(JSON.stringify(diagnosis.content), /INC-101/)

    const prompt = await client.getPrompt({ name: 'postmortem', arguments: { id: 'INC-101' } })
    assert.match(JSON.stringify(prompt.messages), /Checkout answers slowly/)
    const completion = await client.complete({
      ref: { type: 'ref/prompt', name: 'postmortem' },
      argument: { name: 'id', value: 'INC-10' },
    })
    assert.deepEqual(completion.completion.values, ['INC-101', 'INC-102', 'INC-103', 'INC-104'])
    const { resources } = await client.listResources()
    assert.equal(resources.length, 4)
    const missing = await client.callTool({ name: 'get_incident', arguments: { id: 'INC-9' } })
    assert.equal(missing.isError, true)
    await client.close()

    const legacy = connect(new StreamableHTTPClientTransport(new URL(server.url)), { mode: 'legacy' })
    await assert.rejects(legacy)
  } finally {
    await server.close()
  }
})

test('server-everything runs on both legacy transports, on loopback only, and ends when told', async () => {
  const [streamable, sse] = await Promise.all([
    startEverything({ transport: 'streamable-http' }),
    startEverything({ transport: 'sse' }),
  ])
  for (const [server, transport] of [
    [streamable, new StreamableHTTPClientTransport(new URL(streamable.url))],
    [sse, new SSEClientTransport(new URL(sse.url))],
  ] as const) {
    const client = await connect(transport)
    const echo = await client.callTool({ name: 'echo', arguments: { message: 'hum' } })
    assert.match(JSON.stringify(echo.content), /hum/)
    await client.close()
    const port = new URL(server.url).port
    for (const address of Object.values(networkInterfaces()).flat()) {
      if (address === undefined || address.internal || address.family !== 'IPv4') continue
      await assert.rejects(fetch(`http://${address.address}:${port}/`, { signal: AbortSignal.timeout(2000) }))
    }
  }
  await Promise.all([streamable.close(), sse.close()])
  for (const { pid } of [streamable, sse]) assert.throws(() => process.kill(pid, 0), /ESRCH/)
})

test('a taken port is named as such, for both transports', async () => {
  const blocker = createServer().listen(0, '127.0.0.1')
  await once(blocker, 'listening')
  const address = blocker.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  for (const transport of ['streamable-http', 'sse'] as const) {
    await assert.rejects(startEverything({ transport, port }), { code: 'EADDRINUSE' })
  }
  blocker.close()
})
