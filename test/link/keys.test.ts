// How a cluster comes to believe the edge: the operator fetches the public keys of a real edge, and keeps those of before while that
// is away.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KubeClient } from '../../agent/kube/client.ts'
import { EdgeKeys } from '../../agent/operator/edge-keys.ts'
import { startEdge } from '../edge.ts'
import { ScriptedServer } from '../kube/server.ts'

test('an edge publishes its keys without what is private of them, and the operator writes them down', async (t) => {
  const edge = await startEdge()
  let data: Record<string, string> | undefined
  const server = await ScriptedServer.start(({ method, body }, reply) => {
    if (method === 'PATCH') ({ data } = body as { data: Record<string, string> })
    reply.json(200, { metadata: { name: 'edge-keys', namespace: 'system' }, ...(data !== undefined && { data }) })
  })
  const client = new KubeClient(server.access)
  t.after(async () => {
    await edge.close()
    await client.close()
    server.close()
  })
  const answer = await fetch(`${edge.url}/.well-known/jwks.json`)
  assert.equal(answer.headers.get('cache-control'), 'public, max-age=300')
  const { keys } = (await answer.json()) as { keys: Record<string, string>[] }
  assert.deepEqual(
    keys.map((key) => Object.keys(key).sort()),
    [['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']],
  )

  const names = { keysConfigMap: 'edge-keys', uplinkKeysConfigMap: 'uplink-keys' }
  const following = new EdgeKeys({
    client,
    manager: 'waggle',
    settings: { namespace: 'system', extraCaConfigMap: undefined, edge: { url: edge.url, ...names } },
  })
  const { signal } = new AbortController()
  await following.look(signal)
  const written = JSON.parse(data?.['signing.json'] ?? '{}') as { keys: Record<string, string>[] }
  assert.deepEqual(written.keys, keys)

  await edge.close()
  await assert.rejects(following.look(signal))
  assert.deepEqual(JSON.parse(data?.['signing.json'] ?? '{}'), written)
})
