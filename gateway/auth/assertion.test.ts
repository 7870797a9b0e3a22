import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { exportJWK, generateKeyPair } from 'jose'
import { Fault } from '../../protocol/fault.ts'
import type { Principal } from '../principal.ts'
import { AssertionSigner } from './assertion-signer.ts'
import { AssertionVerifier, type AssertionUse } from './assertion-verifier.ts'
import { describe as claimsOf, described } from './assertion.ts'

const SIGNER = 'test/team/VirtualMCPServer/all'
const SERVER = 'test/team/MCPServer/one'
const NONE = { claims: [], groups: [] }

function principal(rest: Partial<Principal> = {}): Principal {
  return {
    id: 'https://issuer ada',
    issuer: 'https://issuer',
    subject: 'ada',
    clientId: 'cli',
    scopes: new Set(['read', 'write']),
    groups: ['engineers'],
    claims: { team: 'blue', email: 'ada@example.com' },
    expires: 10_000,
    ...rest,
  }
}

async function pair(at: { now: number }, uses: readonly AssertionUse[] = ['call', 'catalog']) {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const now = () => at.now
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256' }] }
  const signer = new AssertionSigner(SIGNER, { kid: 'k', key: privateKey }, now)
  return { signer, verifier: new AssertionVerifier(SERVER, [{ issuer: SIGNER, uses, jwks }], now) }
}

const refused = (error: unknown) => error instanceof Fault && error.reason === 'unauthenticated'

describe('an assertion', () => {
  test('carries the caller with its rights, and of its claims only those that rules name', async () => {
    const { signer, verifier } = await pair({ now: 1_000_000 })
    const token = await signer.caller(principal(), SERVER, { claims: ['team', 'toString'], groups: [] })
    const caller = await verifier.caller(token)
    assert.deepEqual(caller, { ...principal(), claims: { team: 'blue' }, via: SIGNER })
  })

  test('is signed once for a caller and a server, and again before it ends', async () => {
    const at = { now: 1_000_000 }
    const { signer, verifier } = await pair(at)
    const ada = principal()
    const first = await signer.caller(ada, SERVER, NONE)
    at.now += 39_000
    assert.equal(await signer.caller(ada, SERVER, NONE), first)
    assert.notEqual(await signer.caller(ada, 'test/team/MCPServer/two', NONE), first)
    // The same caller with another token has other rights.
    assert.notEqual(await signer.caller(principal({ scopes: new Set() }), SERVER, NONE), first)
    at.now += 2_000
    const next = await signer.caller(ada, SERVER, NONE)
    assert.notEqual(next, first)
    at.now += 30_000
    await assert.rejects(verifier.caller(first), refused)
    await verifier.caller(next)
  })

  test('is one caller for the receiver for as long as it lasts', async () => {
    const { signer, verifier } = await pair({ now: 1_000_000 })
    const token = await signer.caller(principal(), SERVER, NONE)
    assert.equal(await verifier.caller(token), await verifier.caller(token))
  })

  test('for a catalog is no caller’s, and a caller’s reads no catalog', async () => {
    const { signer, verifier } = await pair({ now: 1_000_000 })
    const catalog = await signer.catalog(SERVER)
    assert.equal(await verifier.reader(catalog), SIGNER)
    await assert.rejects(verifier.caller(catalog), refused)
    await assert.rejects(verifier.reader(await signer.caller(principal(), SERVER, NONE)), refused)
  })

  test('is believed for what its signer is trusted with, and for nothing else', async () => {
    const caller = await pair({ now: 1_000_000 }, ['call'])
    assert.ok(await caller.verifier.caller(await caller.signer.caller(principal(), SERVER, NONE)))
    await assert.rejects(caller.verifier.reader(await caller.signer.catalog(SERVER)), refused)
    const reader = await pair({ now: 1_000_000 }, ['catalog'])
    const token = await reader.signer.caller(principal(), SERVER, NONE)
    await assert.rejects(reader.verifier.caller(token), refused)
    // The second time the verdict is known already.
    await assert.rejects(reader.verifier.caller(token), refused)
    assert.equal(await reader.verifier.reader(await reader.signer.catalog(SERVER)), SIGNER)
    const nothing = await pair({ now: 1_000_000 }, [])
    await assert.rejects(nothing.verifier.caller(await nothing.signer.caller(principal(), SERVER, NONE)), refused)
    await assert.rejects(nothing.verifier.reader(await nothing.signer.catalog(SERVER)), refused)
  })

  test('does not outlive the caller’s own credential', async () => {
    const at = { now: 1_000_000 }
    const { signer, verifier } = await pair(at)
    const token = await signer.caller(principal({ expires: 1_005 }), SERVER, NONE)
    await verifier.caller(token)
    at.now += 16_000
    await assert.rejects(verifier.caller(token), refused)
  })

  test('fits into a header, with the groups that rules name, however many groups the caller has', () => {
    const groups = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme-ascii' }), {
      maxLength: 2_000,
    })
    fc.assert(
      fc.property(groups, fc.nat(), (all, at) => {
        const named = all.length === 0 ? [] : [all[at % all.length] ?? '']
        const payload = claimsOf(principal({ groups: all }), { claims: [], groups: named })
        const caller = described({ ...payload, iss: SIGNER })
        assert.ok(JSON.stringify(payload).length < 12_000)
        assert.ok(named.every((one) => caller?.groups.includes(one)))
        assert.ok(caller?.groups.every((one) => all.includes(one)))
      }),
      { numRuns: 50 },
    )
  })

  test('names nobody unless issuer and subject are there', () => {
    const sub = { format: 'iss_sub', iss: 'https://issuer', sub: 'ada' }
    assert.equal(described({ use: 'call', sub_id: sub })?.id, 'https://issuer ada')
    for (const bad of [
      undefined,
      null,
      'ada',
      {},
      { ...sub, sub: '' },
      { ...sub, iss: 1 },
      { ...sub, format: 'email' },
    ])
      assert.equal(described({ use: 'call', sub_id: bad }), undefined)
    assert.equal(described({ use: 'catalog', sub_id: sub }), undefined)
  })
})
