import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anonymous } from '../../gateway/principal.ts'
import type { Principal } from '../../gateway/principal.ts'
import { MemoryStore } from '../../gateway/store/memory.ts'
import { Fault } from '../../protocol/fault.ts'
import { openSecret, readSecrets } from '../documents/secrets.ts'
import { manifest } from '../documents/sample.ts'
import { adminApi } from './api.ts'
import type { AdminEvent, AdminHost } from './host.ts'
import { clusterStatus } from './sample.ts'

const admin: Principal = { ...anonymous, id: 'https://id.example.com ada', subject: 'ada' }
const url = 'https://mcp.example.com/mcp'
const remote = (name: string, spec: object = {}, metadata: object = {}) =>
  manifest('MCPRemoteProxy', `a/${name}`, { remoteUrl: url, ...spec }, metadata)

/** An API with everything its host would give it, and a log of what it told its host. */
function fixture(over: Partial<AdminHost> = {}) {
  const store = new MemoryStore(Date.now)
  const events: AdminEvent[] = []
  const log = { changed: 0 }
  let uids = 0
  const host: AdminHost = {
    store,
    publicUrl: 'https://mcp.example.com',
    vaultKeys: [{ kid: 'k', key: new Uint8Array(32).fill(7) }],
    now: () => Date.UTC(2026, 10, 1),
    random: () => `uid-${++uids}`,
    authorize: async () => admin,
    audit: (event) => void events.push(event),
    changed: async () => void log.changed++,
    status: async (resource) => ({ phase: 'Ready', of: resource.metadata.name }),
    events: (limit) => [{ limit }],
    hubs: { changed: async () => {}, drain: async () => {}, status: async (id) => clusterStatus(id) },
    ...over,
  }
  const app = adminApi(host)
  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const json = { 'content-type': 'application/json' }
    const init = body === undefined ? { method, headers } : { method, body: text, headers: { ...json, ...headers } }
    const response = await app.request(`/admin/v1${path}`, init)
    const answer = (await response.json()) as Record<string, unknown> & { error?: Record<string, unknown> }
    return { status: response.status, answer, headers: response.headers }
  }
  return { host, store, events, log, call }
}

test('an apply creates, configures and leaves alone, and says which', async () => {
  const { call, log, events } = fixture()
  const first = await call('PUT', '/resources', { resources: [remote('x'), remote('y')] })
  assert.equal(first.status, 200)
  const second = await call('PUT', '/resources', { resources: [remote('x'), remote('y', { transport: 'sse' })] })
  assert.deepEqual(second.answer['results'], [
    { kind: 'MCPRemoteProxy', namespace: 'a', name: 'x', action: 'unchanged', resourceVersion: '1', warnings: [] },
    { kind: 'MCPRemoteProxy', namespace: 'a', name: 'y', action: 'configured', resourceVersion: '2', warnings: [] },
  ])
  await call('PUT', '/resources', { resources: [remote('x')] })
  assert.equal(log.changed, 2)
  assert.match(events[1]?.detail ?? '', /configured MCPRemoteProxy\/a\/y/)
})

test('a wrong manifest refuses the whole apply with index, path and suggestion', async () => {
  const { call, store, log } = fixture()
  const wrong = manifest('MCPRemoteProxy', 'a/y', { remotUrl: url })
  const { status, answer } = await call('PUT', '/resources', { resources: [remote('x'), wrong] })
  assert.equal(status, 422)
  assert.equal(answer.error?.['reason'], 'invalid_resource')
  const problems = answer.error?.['problems'] as { index: number; path: string; suggestion?: string }[]
  assert.ok(
    problems.some(({ index, path, suggestion }) => index === 1 && /remotUrl/.test(path) && suggestion === 'remoteUrl'),
  )
  assert.deepEqual(await store.peek(['resources']), [null])
  assert.equal(log.changed, 0)
})

test('a dry run decides the same and stores nothing', async () => {
  const { call, store, log } = fixture()
  const { status, answer } = await call('PUT', '/resources?dryRun=true', { resources: [remote('x')] })
  assert.equal(status, 200)
  assert.equal((answer['results'] as { action: string }[])[0]?.action, 'created')
  assert.deepEqual(await store.peek(['resources']), [null])
  assert.equal(log.changed, 0)
})

test('a misspelt query parameter is refused, so that no dry run is real by mistake', async () => {
  const { call, store } = fixture()
  for (const query of ['dryrun=true', 'dryRun=yes', 'dryRun=true&dryRun=false'])
    assert.equal((await call('PUT', `/resources?${query}`, { resources: [remote('x')] })).status, 400, query)
  assert.deepEqual(await store.peek(['resources']), [null])
})

test('an apply on a version that is not the stored one is a conflict', async () => {
  const { call } = fixture()
  await call('PUT', '/resources', { resources: [remote('x')] })
  const stale = remote('x', { transport: 'sse' }, { resourceVersion: '9' })
  const { status, answer } = await call('PUT', '/resources', { resources: [stale] })
  assert.equal(status, 409)
  assert.equal(answer.error?.['reason'], 'conflict')
})

test('what get returns can be applied again and changes nothing', async () => {
  const { call } = fixture()
  await call('PUT', '/resources', { resources: [remote('x')] })
  const { answer } = await call('GET', '/resources/rp/a/x')
  const again = await call('PUT', '/resources', { resources: [answer] })
  assert.equal((again.answer['results'] as { action: string }[])[0]?.action, 'unchanged')
})

test('resources are listed with their status, by kind in any spelling and by namespace', async () => {
  const { call } = fixture()
  const group = manifest('MCPGroup', 'b/g', {})
  await call('PUT', '/resources', { resources: [remote('y'), remote('x'), group] })
  const names = async (query: string) => {
    const { answer } = await call('GET', `/resources${query}`)
    return (answer['items'] as { metadata: { name: string }; status: { of: string } }[]).map(({ metadata, status }) => {
      assert.equal(status.of, metadata.name)
      return metadata.name
    })
  }
  assert.deepEqual(await names(''), ['g', 'x', 'y'])
  assert.deepEqual(await names('?kind=mcpremoteproxies'), ['x', 'y'])
  assert.deepEqual(await names('?namespace=b'), ['g'])
  assert.equal((await call('GET', '/resources?kind=Pod')).status, 400)
})

test('a delete warns about those that still name the resource', async () => {
  const { call, log } = fixture()
  const config = manifest('MCPToolConfig', 'a/tools', {})
  await call('PUT', '/resources', { resources: [config, remote('x', { toolConfigRef: { name: 'tools' } })] })
  assert.equal((await call('DELETE', '/resources/toolconfig/a/tools?resourceVersion=7')).status, 409)
  const { status, answer } = await call('DELETE', '/resources/toolconfig/a/tools')
  assert.equal(status, 200)
  assert.deepEqual(answer['warnings'], [
    { path: 'spec.toolConfigRef.name', message: 'MCPRemoteProxy/a/x still names it' },
  ])
  assert.equal((await call('DELETE', '/resources/toolconfig/a/tools')).status, 404)
  assert.equal(log.changed, 2)
})

test('secret values go in and only names and keys come out', async () => {
  const { call, store, host, events } = fixture()
  const put = await call('PUT', '/secrets/a/s', { data: { token: 'hush', __proto__x: 'v' } })
  assert.deepEqual(put.answer, { namespace: 'a', name: 's', keys: ['__proto__x', 'token'] })
  await call('PUT', '/secrets/b/s', { data: { token: 'other' } })
  const list = await call('GET', '/secrets?namespace=a')
  assert.deepEqual(list.answer, { items: [{ namespace: 'a', name: 's', keys: ['__proto__x', 'token'] }] })
  const { secrets } = await readSecrets(store)
  assert.equal(await openSecret(secrets, host.vaultKeys, 'a', 's', 'token'), 'hush')
  const told = JSON.stringify([put.answer, list.answer, events.map((event) => ({ ...event, request: null }))])
  assert.ok(!told.includes('hush'))
  assert.equal((await call('DELETE', '/secrets/a/s')).status, 200)
  assert.equal((await call('DELETE', '/secrets/a/s')).status, 404)
})

for (const [name, body, path] of [
  ['a value that is no string', { data: { k: 1 } }, 'data.k'],
  ['a key with a slash', { data: { 'a/b': 'v' } }, 'data.a/b'],
  ['a value beyond 64 kB', { data: { k: 'v'.repeat(65_537) } }, 'data.k'],
  ['half a character', '{"data":{"k":"\\ud800"}}', 'data.k'],
  ['no keys', { data: {} }, 'data'],
  ['an unknown field', { data: { k: 'v' }, dta: {} }, 'dta'],
] as const) {
  test(`${name} refuses a secret and names the field, not the value`, async () => {
    const { call, store } = fixture()
    const { status, answer } = await call('PUT', '/secrets/a/s', body)
    assert.equal(status, 422)
    const problems = answer.error?.['problems'] as { path: string }[] | undefined
    assert.equal(problems?.[0]?.path, path)
    assert.deepEqual(await store.peek(['secrets']), [null])
  })
}

test('a secret cannot be named past its namespace', async () => {
  const { call } = fixture()
  for (const path of ['/secrets/a%2Fb/s', '/secrets/a/s%2Ft', '/secrets/a.b/s', '/secrets/A/s', '/secrets/a/..%2Fs'])
    assert.equal((await call('PUT', path, { data: { k: 'v' } })).status, 400, path)
})

test('secrets are sealed anew on request', async () => {
  const { call } = fixture()
  await call('PUT', '/secrets/a/s', { data: { k: 'v' } })
  assert.deepEqual((await call('POST', '/secrets/reseal')).answer, { resealed: 0, current: 1, unreadable: [] })
})

test('revocations are added, listed and taken back', async () => {
  const { call, host } = fixture()
  const target = { issuer: 'https://id.example.com', subject: 'ben' }
  const added = await call('POST', '/revocations', { ...target, seconds: 60 })
  assert.deepEqual(added.answer, { ...target, until: host.now() / 1000 + 60 })
  assert.deepEqual((await call('GET', '/revocations')).answer, { items: [added.answer] })
  const query = new URLSearchParams(target).toString()
  assert.equal((await call('DELETE', `/revocations?${query}`)).status, 200)
  assert.equal((await call('DELETE', `/revocations?${query}`)).status, 404)
  assert.deepEqual((await call('GET', '/revocations')).answer, { items: [] })
})

test('a revocation must say whom and for how long', async () => {
  const { call } = fixture()
  const issuer = 'https://id.example.com'
  for (const body of [
    { issuer, seconds: 1 },
    { issuer, subject: 'x' },
    { issuer, subject: 'x', seconds: 0 },
    { subject: 'x', seconds: 1 },
    [],
  ])
    assert.equal((await call('POST', '/revocations', body)).status, 400, JSON.stringify(body))
})

test('the audit trail is read with a bounded limit', async () => {
  const { call } = fixture()
  assert.deepEqual((await call('GET', '/audit')).answer, { events: [{ limit: 100 }] })
  assert.deepEqual((await call('GET', '/audit?limit=20')).answer, { events: [{ limit: 20 }] })
  for (const limit of ['0', '1001', 'x', '-1']) assert.equal((await call('GET', `/audit?limit=${limit}`)).status, 400)
})

test('a caller without the right token is refused before anything else, with its challenge', async () => {
  const refuse = async () => {
    throw new Fault('unauthenticated', 'Log in.', { headers: { 'WWW-Authenticate': 'Bearer realm="waggle"' } })
  }
  const { call, store, events } = fixture({ authorize: refuse })
  for (const [method, path] of [
    ['PUT', '/resources'],
    ['GET', '/nowhere'],
    ['OPTIONS', '/resources'],
  ] as const) {
    const { status, headers, answer } = await call(method, path)
    assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Bearer realm="waggle"'])
    assert.equal(answer.error?.['reason'], 'unauthenticated')
    assert.equal(headers.get('access-control-allow-origin'), null)
  }
  assert.deepEqual(await store.peek(['resources']), [null])
  assert.deepEqual(
    events.map(({ outcome }) => outcome),
    ['denied', 'denied', 'denied'],
  )
})

test('every call is audited exactly once, with who, what and how it ended', async () => {
  const { call, events } = fixture()
  await call('PUT', '/resources', { resources: [remote('x')] })
  await call('GET', '/resources/rp/a/x')
  await call('GET', '/resources/rp/a/none')
  await call('DELETE', '/resources/rp/a/x')
  await call('PUT', '/resources', 'not json')
  await call('GET', '/nowhere')
  assert.deepEqual(
    events.map(({ principal, action, target, outcome, status }) => [
      principal?.subject,
      action,
      target,
      outcome,
      status,
    ]),
    [
      ['ada', 'resource.apply', 'resources', 'success', 200],
      ['ada', 'resource.get', 'MCPRemoteProxy/a/x', 'success', 200],
      ['ada', 'resource.get', 'MCPRemoteProxy/a/none', 'failure', 404],
      ['ada', 'resource.delete', 'MCPRemoteProxy/a/x', 'success', 200],
      ['ada', 'resource.apply', '/admin/v1/resources', 'failure', 400],
      ['ada', 'unknown', '/admin/v1/nowhere', 'failure', 404],
    ],
  )
})

test('writes must be JSON by their type, by their text and within 4 MiB', async () => {
  const { call } = fixture()
  const plain = { 'content-type': 'text/plain' }
  assert.equal((await call('PUT', '/resources', '{"resources":[]}', plain)).status, 415)
  assert.equal((await call('PUT', '/resources', '{')).answer.error?.['reason'], 'invalid_json')
  assert.equal((await call('PUT', '/resources', {})).status, 400)
  assert.equal((await call('PUT', '/resources', `"${'x'.repeat(4 * 1024 * 1024)}"`)).status, 413)
  assert.equal((await call('PUT', '/resources', { resources: [] })).status, 200)
})

test('when the store is away the caller is told to come back', async () => {
  const store = new MemoryStore(Date.now)
  store.get = async () => {
    throw new Fault('store_unavailable', 'The store does not answer.')
  }
  const { call, events } = fixture({ store })
  const { status, headers } = await call('GET', '/resources')
  assert.deepEqual([status, headers.get('retry-after')], [503, '2'])
  assert.equal(events[0]?.outcome, 'error')
})

test('an unexpected error stays private and is in the audit trail', async () => {
  const status = async () => {
    throw new TypeError('inner workings')
  }
  const { call, events } = fixture({ status })
  await call('PUT', '/resources', { resources: [remote('x')] })
  const { status: code, answer } = await call('GET', '/resources')
  assert.equal(code, 500)
  assert.ok(!JSON.stringify(answer).includes('inner workings'))
  assert.match(events[1]?.detail ?? '', /inner workings/)
})

test('two admins who apply at once both succeed', async () => {
  const { call } = fixture()
  const names = ['x', 'y', 'z']
  const all = await Promise.all(names.map((name) => call('PUT', '/resources', { resources: [remote(name)] })))
  assert.deepEqual(
    all.map(({ status }) => status),
    [200, 200, 200],
  )
  const { answer } = await call('GET', '/resources')
  assert.equal((answer['items'] as unknown[]).length, 3)
})
