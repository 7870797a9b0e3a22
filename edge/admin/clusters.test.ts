import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anonymous } from '../../gateway/principal.ts'
import { MemoryStore } from '../../gateway/store/memory.ts'
import { clusterCodec, keyOf, redeem } from '../documents/clusters.ts'
import { changeDocument, readDocument } from '../documents/document.ts'
import { sha256 } from '../../gateway/sha256.ts'
import { adminApi } from './api.ts'
import type { AdminEvent, AdminHost } from './host.ts'
import { clusterStatus } from './sample.ts'

const NOW = Date.UTC(2026, 10, 1)
const jwk = { kty: 'RSA', kid: 'k1', alg: 'RS256', use: 'sig', n: 'AQAB', e: 'AQAB' }
const oidc = { method: 'kubernetes-oidc', issuer: 'https://kubernetes.default.svc', jwks: { keys: [jwk] } }
const ALL = { namespaces: ['*'], kinds: ['*'], virtualServers: ['*'] }

function fixture(over: Partial<AdminHost['hubs']> = {}) {
  const store = new MemoryStore(() => NOW)
  const events: AdminEvent[] = []
  const poked: string[] = []
  let uids = 0
  const host: AdminHost = {
    store,
    publicUrl: 'https://mcp.example.com',
    vaultKeys: [],
    now: () => NOW,
    random: () => `uid-${++uids}`,
    authorize: async () => ({ ...anonymous, id: 'https://id.example.com ada', subject: 'ada' }),
    audit: (event) => void events.push(event),
    changed: async () => {},
    status: async () => ({}),
    events: () => [],
    hubs: {
      changed: async (id) => void poked.push(id),
      drain: async (id) => void poked.push(`drain ${id}`),
      status: async (id) => clusterStatus(id),
      ...over,
    },
  }
  const app = adminApi(host)
  const call = async (method: string, path: string, body?: unknown) => {
    const headers = { 'content-type': 'application/json' }
    const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) }
    const response = await app.request(`/admin/v1${path}`, init)
    const answer = (await response.json()) as Record<string, unknown> & { error?: Record<string, unknown> }
    return { status: response.status, answer }
  }
  const stored = async (id: string) => (await readDocument(store, clusterCodec)).value.get(id)
  return { store, events, poked, call, stored }
}

test('a cluster is created with everything allowed, changed, and left alone when nothing changes', async () => {
  const { call, poked, events } = fixture()
  const created = await call('PUT', '/clusters/a', oidc)
  assert.equal(created.status, 200, JSON.stringify(created.answer))
  assert.equal(created.answer['action'], 'created')
  assert.equal(created.answer['edge'], 'https://mcp.example.com')
  assert.deepEqual(created.answer['allow'], ALL)
  assert.equal(created.answer['subject'], 'system:serviceaccount:toolhive-system:waggle-agent-uplink')
  assert.equal((await call('PUT', '/clusters/a', oidc)).answer['action'], 'unchanged')
  assert.deepEqual(poked, [])
  const allow = { ...ALL, namespaces: ['team'] }
  const configured = await call('PUT', '/clusters/a', { ...oidc, allow })
  assert.deepEqual([configured.answer['action'], configured.answer['uid']], ['configured', 'uid-1'])
  assert.deepEqual(poked, ['a'])
  assert.deepEqual(
    events.map(({ action, target, outcome }) => [action, target, outcome]),
    Array.from({ length: 3 }, () => ['cluster.set', 'a', 'success']),
  )
})

test('what a change does not speak of stays: new keys never widen what a cluster may publish', async () => {
  const { call, stored } = fixture()
  const subject = 'system:serviceaccount:waggle:uplink'
  await call('PUT', '/clusters/a', { ...oidc, subject, allow: { namespaces: ['team'], kinds: ['MCPServer'] } })
  await call('PUT', '/clusters/a', { ...oidc, jwks: { keys: [{ ...jwk, kid: 'k2' }] } })
  await call('PUT', '/clusters/a', { ...oidc, allow: { kinds: ['MCPRemoteProxy'] } })
  const { allow, subject: kept } = (await stored('a')) ?? {}
  assert.deepEqual(allow, { namespaces: ['team'], kinds: ['MCPRemoteProxy'], virtualServers: ['*'] })
  assert.equal(kept, subject)
})

const wrong: readonly [name: string, body: unknown, path: string][] = [
  ['of no method', {}, 'method'],
  ['of another method', { method: 'password' }, 'method'],
  ['without an issuer', { method: 'kubernetes-oidc' }, 'issuer'],
  ['whose issuer publishes nothing', { method: 'kubernetes-oidc', issuer: 'kubernetes/serviceaccount' }, 'issuer'],
  ['whose issuer is asked without TLS', { method: 'kubernetes-oidc', issuer: 'http://issuer.example.com' }, 'issuer'],
  ['with a private key', { ...oidc, jwks: { keys: [{ ...jwk, d: 'AQAB' }] } }, 'jwks.keys.0'],
  ['with a secret key', { ...oidc, jwks: { keys: [{ kty: 'oct', k: 'AQAB' }] } }, 'jwks.keys.0.kty'],
  ['without keys', { ...oidc, jwks: { keys: [] } }, 'jwks.keys'],
  ['with a subject of another form', { ...oidc, subject: 'ada' }, 'subject'],
  ['with an issuer and a join token', { ...oidc, method: 'join-token' }, ''],
  ['that may publish nothing', { method: 'join-token', allow: { namespaces: [] } }, 'allow.namespaces'],
  ['with a namespace that is none', { method: 'join-token', allow: { namespaces: ['Team'] } }, 'allow.namespaces.0'],
  ['with an unknown kind', { method: 'join-token', allow: { kinds: ['Secret'] } }, 'allow.kinds.0'],
  [
    'with a virtual server without namespace',
    { method: 'join-token', allow: { virtualServers: ['tools'] } },
    'allow.virtualServers.0',
  ],
  ['with a field that is not known', { method: 'join-token', allows: {} }, ''],
]
for (const [name, body, path] of wrong) {
  test(`an entry ${name} is refused, and the problem is named`, async () => {
    const { call, stored } = fixture()
    const { status, answer } = await call('PUT', '/clusters/a', body)
    assert.equal(status, 422)
    const problems = answer.error?.['problems'] as { path: string }[]
    assert.ok(
      problems.some((one) => one.path === path),
      JSON.stringify(problems),
    )
    assert.equal(await stored('a'), undefined)
  })
}

test('reserved ids and ids that are no DNS labels are refused', async () => {
  const { call } = fixture()
  for (const id of ['edge', 'in-cluster', 'A', 'a.b', 'x'.repeat(64)])
    assert.equal((await call('PUT', `/clusters/${id}`, { method: 'join-token' })).status, 400, id)
})

test('a join token has 256 bits, is told once and is stored as its hash', async () => {
  const { call, store, stored } = fixture()
  await call('PUT', '/clusters/a', { method: 'join-token' })
  const { status, answer } = await call('POST', '/clusters/a/token', { seconds: 600 })
  assert.equal(status, 200)
  const token = String(answer['token'])
  assert.equal(Buffer.from(token, 'base64url').length, 32)
  assert.equal(answer['expires'], new Date(NOW + 600_000).toISOString())
  assert.ok(!(await store.get('clusters'))?.value.includes(token))
  const hash = await sha256(token)
  assert.equal((await stored('a'))?.tokens[0]?.hash, hash)
  const listed = JSON.stringify((await call('GET', '/clusters')).answer)
  assert.ok(!listed.includes(token) && !listed.includes(hash))
})

test('a token lasts an hour at most, and only so many wait to be redeemed', async () => {
  const { call } = fixture()
  await call('PUT', '/clusters/a', { method: 'join-token' })
  assert.equal((await call('POST', '/clusters/a/token', { seconds: 3601 })).status, 422)
  for (let count = 0; count < 8; count++) assert.equal((await call('POST', '/clusters/a/token', {})).status, 200)
  assert.equal((await call('POST', '/clusters/a/token', {})).status, 409)
})

test('a cluster that joins otherwise, is revoked or does not exist gets no token', async () => {
  const { call } = fixture()
  await call('PUT', '/clusters/o', oidc)
  await call('PUT', '/clusters/r', { method: 'join-token' })
  await call('POST', '/clusters/r/revoke')
  assert.equal((await call('POST', '/clusters/o/token', {})).status, 409)
  assert.equal((await call('POST', '/clusters/r/token', {})).status, 409)
  assert.equal((await call('POST', '/clusters/n/token', {})).status, 404)
})

test('a revoked cluster loses keys and tokens and cannot be changed back, only deleted and added anew', async () => {
  const { call, store, stored, poked } = fixture()
  await call('PUT', '/clusters/a', { method: 'join-token' })
  const token = String((await call('POST', '/clusters/a/token', {})).answer['token'])
  await call('POST', '/clusters/a/token', {})
  const hash = await sha256(token)
  await changeDocument(store, clusterCodec, (all) => {
    const known = all.get('a')
    assert.ok(known !== undefined)
    const done = redeem(known, hash, { thumbprint: 't', jwk: {} }, NOW)
    assert.ok(done.kind === 'redeemed')
    return { next: new Map([['a', done.next]]), result: undefined }
  })
  const before = await stored('a')
  assert.ok(before !== undefined && keyOf(before, 't', NOW) !== undefined)
  assert.equal((await call('POST', '/clusters/a/revoke')).status, 200)
  const after = await stored('a')
  assert.deepEqual([after?.keys, after?.tokens, after?.revokedAt], [[], [], NOW])
  assert.deepEqual(poked, ['a'])
  assert.equal((await call('PUT', '/clusters/a', { method: 'join-token' })).status, 409)
  assert.equal((await call('DELETE', '/clusters/a')).status, 200)
  assert.deepEqual(poked, ['a', 'a'])
  await call('PUT', '/clusters/a', { method: 'join-token' })
  assert.equal((await stored('a'))?.uid, 'uid-2')
})

test('a change whose hub cannot be told holds, and says so', async () => {
  const { call, stored } = fixture({
    changed: async () => {
      throw new Error('away')
    },
  })
  await call('PUT', '/clusters/a', oidc)
  const { status, answer } = await call('POST', '/clusters/a/revoke')
  assert.equal(status, 200)
  assert.equal((answer['warnings'] as unknown[]).length, 1)
  assert.equal((await stored('a'))?.revokedAt, NOW)
})

test('the uplinks of a cluster that is known and not revoked are asked for other links', async () => {
  const { call, poked } = fixture()
  await call('PUT', '/clusters/a', { method: 'join-token' })
  assert.equal((await call('POST', '/clusters/a/drain')).status, 200)
  assert.deepEqual(poked, ['drain a'])
  assert.equal((await call('POST', '/clusters/b/drain')).status, 404)
  await call('POST', '/clusters/a/revoke')
  assert.equal((await call('POST', '/clusters/a/drain')).status, 404)
  const silent = fixture({ drain: () => Promise.reject(new Error('away')) })
  await silent.call('PUT', '/clusters/a', { method: 'join-token' })
  assert.equal((await silent.call('POST', '/clusters/a/drain')).status, 503)
})

test('the way of joining cannot be changed under a cluster that is known', async () => {
  const { call } = fixture()
  await call('PUT', '/clusters/a', oidc)
  assert.equal((await call('PUT', '/clusters/a', { method: 'join-token' })).status, 409)
})

test('status asks every hub but those of revoked clusters, and one that is silent harms nobody', async () => {
  const { call } = fixture({
    status: async (id) => {
      if (id === 'b') throw new Error('away')
      return clusterStatus(id)
    },
  })
  for (const id of ['a', 'b', 'c']) await call('PUT', `/clusters/${id}`, { method: 'join-token' })
  await call('POST', '/clusters/c/revoke')
  const { answer } = await call('GET', '/status')
  assert.deepEqual(answer['clusters'], [
    { id: 'a', method: 'join-token', hub: JSON.parse(JSON.stringify(clusterStatus('a'))) },
    { id: 'b', method: 'join-token', error: 'its hub does not answer' },
    { id: 'c', method: 'join-token', revokedAt: new Date(NOW).toISOString() },
  ])
  assert.equal(answer['left'], 0)
  assert.equal((await call('GET', '/status?cluster=n')).status, 404)
})
