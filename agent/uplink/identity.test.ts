import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { compactVerify, exportJWK, generateKeyPair, importJWK } from 'jose'
import { Identity } from './identity.ts'

const of = {
  cluster: 'prod',
  method: 'GET',
  url: 'wss://mcp.example.com/link/v1/connect?x=1#y',
  nonce: 'n',
  now: 1_700_000_000_999,
}
const digest = (text: string): string => createHash('sha256').update(text).digest('base64url')

test('a proof verifies by the key that it names, which is public', async () => {
  const me = await Identity.generate()
  const proof = await me.proof({ ...of, token: 't', body: 'b' })
  const { payload, protectedHeader } = await compactVerify(proof, await importJWK(me.publicJwk, 'ES256'))
  assert.deepEqual(protectedHeader, { alg: 'ES256', typ: 'waggle-proof+jwt', jwk: me.publicJwk })
  assert.deepEqual(Object.keys(me.publicJwk), ['kty', 'crv', 'x', 'y'])
  const { jti, ...claims } = JSON.parse(new TextDecoder().decode(payload)) as Record<string, unknown>
  assert.deepEqual(claims, {
    iat: 1_700_000_000,
    htm: 'GET',
    htu: 'https://mcp.example.com/link/v1/connect',
    nonce: 'n',
    cluster: 'prod',
    ath: digest('t'),
    dig: digest('b'),
  })
  assert.ok(String(jti).length >= 32)
})

test('no two proofs are the same', async () => {
  const me = await Identity.generate()
  assert.notEqual(await me.proof(of), await me.proof(of))
})

test('an identity that was kept is the same identity', async () => {
  const me = await Identity.generate()
  const again = await Identity.import(JSON.parse(JSON.stringify(me.export())) as object)
  assert.equal(again.thumbprint, me.thumbprint)
  assert.deepEqual(again.export(), me.export())
})

test('what is no private P-256 key is refused in words that do not quote it', async () => {
  const { publicJwk, ...rest } = await Identity.generate()
  const { privateKey } = await generateKeyPair('ES384', { extractable: true })
  const other = await exportJWK(privateKey)
  const broken = { ...publicJwk, d: 'secret-that-is-no-number' }
  for (const jwk of [publicJwk, other, {}, broken])
    await assert.rejects(Identity.import(jwk), (error: Error) => !error.message.includes(jwk.d ?? 'undefined'))
  assert.ok(!JSON.stringify(rest).includes('"d"'))
})
