import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exportJWK, generateKeyPair } from 'jose'
import { AssertionVerifier } from '../gateway/auth/assertion-verifier.ts'
import type { Principal } from '../gateway/principal.ts'
import { assertionSigner, publicKeys } from './assertions.ts'

const SERVER = 'prod/tools/MCPServer/grafana'
const ada: Principal = {
  id: 'https://issuer ada',
  issuer: 'https://issuer',
  subject: 'ada',
  clientId: undefined,
  scopes: new Set(),
  groups: [],
  claims: {},
  expires: Number.POSITIVE_INFINITY,
}

async function key(kid: string) {
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid }
}

test('what the first key signs verifies with what is published, and nothing private is published', async () => {
  const keys = [await key('new'), await key('old')]
  const env = { ASSERTION_KEYS: JSON.stringify(keys) }
  const published = publicKeys(env)
  assert.deepEqual(
    published.keys.map(({ kid }) => kid),
    ['new', 'old'],
  )
  assert.ok(published.keys.every((one) => !('d' in one)))
  const verifier = new AssertionVerifier(SERVER, [{ issuer: 'edge', uses: ['call'], jwks: published }], Date.now)
  for (const order of [keys, keys.toReversed()]) {
    const signer = assertionSigner({ ASSERTION_KEYS: JSON.stringify(order) }, Date.now)
    const token = await signer?.caller(ada, SERVER, { claims: [], groups: [] })
    assert.equal((await verifier.caller(token ?? '')).subject, 'ada')
  }
})

test('an edge without keys asserts nobody and publishes nothing', () => {
  for (const env of [{}, { ASSERTION_KEYS: '' }]) {
    assert.equal(assertionSigner(env, Date.now), undefined)
    assert.deepEqual(publicKeys(env), { keys: [] })
  }
})

test('a setting that is no list of keys is told by its name, without any of its text', async () => {
  const good = await key('k')
  const { d: _, ...open } = good
  const bad = ['{', '[]', '{}', [open], [{ ...good, kid: '' }], [{ ...good, crv: 'P-384' }], [good, good], [good, null]]
  for (const one of bad) {
    const ASSERTION_KEYS = typeof one === 'string' ? one : JSON.stringify(one)
    assert.throws(
      () => publicKeys({ ASSERTION_KEYS }),
      ({ message }: Error) => message.startsWith('ASSERTION_KEYS must be') && !message.includes(good.d ?? ''),
    )
  }
})
