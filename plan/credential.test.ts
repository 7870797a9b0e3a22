import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../protocol/fault.ts'
import { headersOf } from './credential.ts'
import type { SecretRef } from './references.ts'
import type { Credential, ServerPlan } from './server.ts'

const ref = (name: string): SecretRef => ({ namespace: 'test', name, key: 'token' })
const bearer: Credential = { kind: 'header', header: 'authorization', prefix: 'Bearer ', secret: ref('login') }
const server: ServerPlan = {
  key: 'test/one',
  source: '1',
  url: 'https://one.example/mcp',
  transport: 'streamable-http',
  allowPrivate: false,
  ca: undefined,
  catalogUrl: undefined,
  credential: bearer,
  headers: { 'x-plain': 'a', 'x-key': 'plain' },
  secretHeaders: [{ header: 'x-key', secret: ref('key') }],
}

/** Every secret says its own name, except those given here. */
function vault(values: Readonly<Record<string, string | undefined>> = {}) {
  const read: string[] = []
  const reveal = async ({ name }: SecretRef) => {
    read.push(name)
    return Object.hasOwn(values, name) ? values[name] : name
  }
  return { read, reveal }
}

const refused = (detail: RegExp) => (error: unknown) =>
  error instanceof Fault && error.reason === 'backend_refused' && detail.test(error.detail ?? '')

test('plain headers, secret ones and the credential go together, each over the one before', async () => {
  assert.deepEqual(await headersOf(server, bearer, vault().reveal), {
    'x-plain': 'a',
    'x-key': 'key',
    authorization: 'Bearer login',
  })
  const { read, reveal } = vault()
  assert.deepEqual(await headersOf({ ...server, secretHeaders: [] }, { kind: 'none' }, reveal), server.headers)
  assert.deepEqual(read, [])
})

test('no secret is read for a call that is refused anyway', async () => {
  const { read, reveal } = vault()
  const plain = { ...server, url: 'http://one.example/mcp' }
  await assert.rejects(headersOf(server, { kind: 'refused', message: 'leads nowhere' }, reveal), refused(/nowhere/u))
  await assert.rejects(headersOf(plain, { kind: 'none' }, reveal), refused(/https only/u))
  await assert.rejects(headersOf({ ...plain, secretHeaders: [] }, bearer, reveal), refused(/https only/u))
  assert.deepEqual(read, [])
  const inside = { ...server, url: 'http://10.0.0.1/mcp' }
  assert.equal((await headersOf(inside, bearer, reveal))['authorization'], 'Bearer login')
})

test('a secret that is not there, or is no header value, is named without its value', async () => {
  await assert.rejects(
    headersOf(server, bearer, vault({ key: undefined }).reveal),
    refused(/test\/key has no key token/u),
  )
  const broken = vault({ login: 'line\nbreak' }).reveal
  await assert.rejects(headersOf(server, bearer, broken), (error) => {
    assert.ok(refused(/test\/login is not a header value/u)(error))
    return !JSON.stringify(error).includes('line')
  })
})
