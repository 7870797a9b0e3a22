import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KubeClient } from '../kube/client.ts'
import { Objects } from '../../test/link/objects.ts'
import { keepIdentity } from './keys.ts'

const places = { namespace: 'home', secret: 's', keysConfigMap: 'c' }
const SECRET = '/api/v1/namespaces/home/secrets/s'
const CONFIG_MAP = '/api/v1/namespaces/home/configmaps/c'

async function start(): Promise<Objects> {
  const objects = await Objects.start()
  objects.put(SECRET, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'home' } })
  objects.put(CONFIG_MAP, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'home' } })
  return objects
}

test('replicas that begin together end with one key, which is told once', async (t) => {
  const objects = await start()
  t.after(() => objects.close())
  const failures: unknown[] = []
  const { signal } = new AbortController()
  const made = await Promise.all(
    Array.from({ length: 5 }, () =>
      keepIdentity(new KubeClient(objects.server.access), places, (error) => failures.push(error), signal),
    ),
  )
  assert.equal(new Set(made.map(({ thumbprint }) => thumbprint)).size, 1)
  const { keys } = JSON.parse(objects.get(CONFIG_MAP)?.data?.['signing.json'] ?? '') as { keys: { kid: string }[] }
  assert.deepEqual(
    keys.map(({ kid }) => kid),
    [made[0]?.thumbprint],
  )
  assert.deepEqual(failures, [])
})

test('a key that cannot be read is complained about and never replaced, and nothing of it is said', async (t) => {
  const objects = await start()
  t.after(() => objects.close())
  const kept = Buffer.from('{"kty":"EC","d":"hush"}').toString('base64')
  objects.put(SECRET, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', namespace: 'home' },
    data: { 'identity.jwk': kept },
  })
  const stop = new AbortController()
  const failed = Promise.withResolvers<unknown>()
  const keeping = keepIdentity(new KubeClient(objects.server.access), places, failed.resolve, stop.signal)
  keeping.catch(() => undefined)
  assert.doesNotMatch(String(await failed.promise), /hush/u)
  stop.abort()
  await assert.rejects(keeping)
  assert.equal(objects.get(SECRET)?.data?.['identity.jwk'], kept)
})
