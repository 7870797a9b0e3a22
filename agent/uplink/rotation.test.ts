import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Objects } from '../../test/link/objects.ts'
import { KubeClient } from '../kube/client.ts'
import type { Identity } from './identity.ts'
import { keepIdentity } from './keys.ts'
import { keepRotating, rotationStep, type KeyState } from './rotation.ts'

const failed = (error: unknown) => assert.fail(String(error))
const places = { namespace: 'home', secret: 's', keysConfigMap: 'c' }
const SECRET = '/api/v1/namespaces/home/secrets/s'
const CONFIG_MAP = '/api/v1/namespaces/home/configmaps/c'

test('a key is made when the one before has aged, told, and taken when everybody knows it', () => {
  const paces = { ageMs: 100, settleMs: 10, lookMs: 1 }
  const state = (since?: number, hasNext = false, told?: number): KeyState => ({ since, hasNext, told })
  const cases = [
    [state(), 'date'],
    [state(901), 'wait'],
    [state(900), 'make'],
    [state(100, true), 'tell'],
    [state(100, true, 991), 'wait'],
    [state(100, true, 990), 'take'],
  ] as const
  for (const [given, expected] of cases)
    assert.equal(rotationStep(given, 1_000, paces), expected, JSON.stringify(given))
})

test('replicas change to the same new key, which edge and proxies were told of before', async (t) => {
  const objects = await Objects.start()
  t.after(() => objects.close())
  objects.put(SECRET, { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: 'home' } })
  objects.put(CONFIG_MAP, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'home' } })
  const stop = new AbortController()
  const announced: unknown[] = []
  const replica = async (isLeader: boolean) => {
    const client = new KubeClient(objects.server.access)
    const identity = await keepIdentity(client, places, failed, stop.signal)
    const used: Identity[] = [identity]
    const sessions = {
      get identity() {
        return used.at(-1) ?? identity
      },
      announce: async (_signal: AbortSignal, jwk: unknown) => void announced.push(jwk),
    }
    const running = keepRotating(
      {
        client,
        places,
        sessions,
        rotates: () => isLeader && used.length === 1,
        changed: (next) => {
          // The edge and the proxies know it already.
          assert.ok(JSON.stringify(announced).includes(String(next.publicJwk.x)))
          assert.ok(objects.get(CONFIG_MAP)?.data?.['signing.json']?.includes(next.thumbprint))
          used.push(next)
        },
        failed,
        paces: { ageMs: 50, settleMs: 100, lookMs: 20 },
      },
      stop.signal,
    )
    return { used, running }
  }
  const replicas = [await replica(true), await replica(false)]
  for (const until = performance.now() + 60_000; replicas.some(({ used }) => used.length < 2); await sleep(20))
    assert.ok(performance.now() < until)
  stop.abort()
  await Promise.all(replicas.map(({ running }) => running))
  const [a, b] = replicas.map(({ used }) => used.map(({ thumbprint }) => thumbprint))
  assert.deepEqual(a, b)
  assert.equal(new Set(a).size, 2)
  assert.equal(announced.length, 1)
  const { keys } = JSON.parse(objects.get(CONFIG_MAP)?.data?.['signing.json'] ?? '') as { keys: { kid: string }[] }
  assert.deepEqual(
    keys.map(({ kid }) => kid),
    a?.toReversed(),
  )
})
