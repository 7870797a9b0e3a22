import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { FakeClock } from '../../test/kube/clock.ts'
import { ScriptedServer } from '../../test/kube/server.ts'
import { KubeClient } from '../kube/client.ts'
import { EdgeKeys } from './edge-keys.ts'

const key = (kid: string) => ({ kty: 'EC', crv: 'P-256', x: 'x', y: 'y', kid, alg: 'ES256', use: 'sig' })
const set = (...keys: unknown[]): string => JSON.stringify({ keys })

/** The operator's namespace with its two ConfigMaps, and an edge that answers what the test says. */
async function scene(t: TestContext) {
  const maps: Record<string, Record<string, string>> = { 'edge-keys': {}, 'company-ca': { 'ca.crt': PEM } }
  const writes: string[] = []
  const server = await ScriptedServer.start(({ method, path, body }, reply) => {
    const name = path.split('/').at(-1) ?? ''
    if (path !== `/api/v1/namespaces/system/configmaps/${name}` || maps[name] === undefined)
      return reply.refuse(404, 'NotFound')
    if (method === 'PATCH') {
      const { data } = body as { data: Record<string, string> }
      maps[name] = { ...maps[name], ...data }
      writes.push(data['signing.json'] ?? '')
    }
    reply.json(200, { metadata: { name, namespace: 'system' }, data: maps[name] })
  })
  const client = new KubeClient(server.access)
  t.after(async () => {
    await client.close()
    server.close()
  })
  const edge = { answer: (): Response => new Response(set()), asked: [] as string[], ca: '' }
  const fetch =
    (ca: string): Fetch =>
    async (url) => {
      edge.asked.push(url)
      edge.ca = ca
      return edge.answer()
    }
  const errors: unknown[] = []
  let busy = 0
  const clock = new FakeClock(() => busy > 0)
  const keys = new EdgeKeys({
    client,
    manager: 'waggle',
    settings: {
      namespace: 'system',
      extraCaConfigMap: 'company-ca',
      edge: { url: 'https://edge.example', keysConfigMap: 'edge-keys', uplinkKeysConfigMap: 'uplink-keys' },
    },
    onError: (error) => void errors.push(error),
    clock,
    random: () => 0.5,
    fetch,
  })
  // Time waits for a look that is under way.
  const look = keys.look.bind(keys)
  keys.look = async (signal) => {
    busy += 1
    try {
      await look(signal)
    } finally {
      busy -= 1
    }
  }
  return { edge, keys, clock, errors, writes, maps }
}

const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'
const signal = new AbortController().signal

test('the edge’s public keys are written down once, and again when they are others', async (t) => {
  const { edge, keys, writes } = await scene(t)
  edge.answer = () => new Response(set(key('a')))
  await keys.look(signal)
  await keys.look(signal)
  assert.deepEqual(writes, [set(key('a'))])
  assert.deepEqual(edge.asked[0], 'https://edge.example/.well-known/jwks.json')
  assert.equal(edge.ca, PEM)
  edge.answer = () => new Response(set(key('b'), key('a')))
  await keys.look(signal)
  assert.deepEqual(writes.at(-1), set(key('b'), key('a')))
  // An edge that withdraws its keys is believed as well.
  edge.answer = () => new Response(set())
  await keys.look(signal)
  assert.deepEqual(writes.at(-1), set())
})

test('of what is published only public keys for assertions are written down', async (t) => {
  const { edge, keys, writes } = await scene(t)
  const others = [{ ...key('rsa'), kty: 'RSA' }, { ...key('p'), crv: 'P-384' }, { ...key(''), kid: '' }, null, 'k']
  edge.answer = () => new Response(set(...others, { ...key('a'), d: 'private' }))
  await keys.look(signal)
  assert.deepEqual(writes, [set(key('a'))])
})

test('whatever is no set of keys leaves what was known', async (t) => {
  const { edge, keys, writes } = await scene(t)
  const answers: (() => Response)[] = [
    () => new Response('<html>Log in</html>'),
    () => new Response('{}'),
    () => new Response(set(key('a')), { status: 302, headers: { location: 'https://other.example' } }),
    () => new Response('no', { status: 503 }),
    () => new Response(`{"keys":[],"more":"${'x'.repeat(70_000)}"}`),
    () => {
      throw new Error('no way')
    },
  ]
  for (const answer of answers) {
    edge.answer = answer
    await assert.rejects(keys.look(signal))
  }
  assert.deepEqual(writes, [])
})

test('the edge is asked every five minutes, after failures sooner, and no more once the signal aborts', async (t) => {
  const { edge, keys, clock, errors, writes } = await scene(t)
  edge.answer = () => new Response('', { status: 500 })
  const end = new AbortController()
  const ended = keys.follow(end.signal)
  await clock.advance(5_000 + 10_000 + 20_000)
  assert.equal(edge.asked.length, 4)
  edge.answer = () => new Response(set(key('a')))
  await clock.advance(40_000)
  assert.equal(edge.asked.length, 5)
  assert.deepEqual(writes, [set(key('a'))])
  await clock.advance(299_000)
  assert.equal(edge.asked.length, 5)
  await clock.advance(1_000)
  assert.equal(edge.asked.length, 6)
  assert.equal(errors.length, 4)
  end.abort()
  await ended
  await clock.advance(600_000)
  assert.equal(edge.asked.length, 6)
})
