import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MemoryStore } from '../../gateway/store/memory.ts'
import { maxRevocations, readRevocations, restore, revocationCodec, revoke, revoked } from './revocations.ts'

const now = 1_000_000
const issuer = 'https://id.example.com'
const until = now / 1000 + 60

async function listOf(target: { subject?: string; tokenId?: string }) {
  const store = new MemoryStore(() => now)
  await revoke(store, { issuer, until, ...target }, now)
  return (await readRevocations(store)).revocations
}

for (const [name, target, credential, expected] of [
  ['a revoked subject is refused with any token', { subject: 'ada' }, { subject: 'ada', tokenId: 't' }, true],
  ['a revoked subject is refused without a token id', { subject: 'ada' }, { subject: 'ada' }, true],
  ['another subject is not', { subject: 'ada' }, { subject: 'ben' }, false],
  ['a revoked token is refused', { tokenId: 't' }, { subject: 'ben', tokenId: 't' }, true],
  ['another token of the same subject is not', { tokenId: 't' }, { subject: 'ben', tokenId: 'u' }, false],
  ['a token without an id is no revoked token', { tokenId: 't' }, { subject: 'ben' }, false],
  [
    'a subject and a token must both match: match',
    { subject: 'ada', tokenId: 't' },
    { subject: 'ada', tokenId: 't' },
    true,
  ],
  [
    'a subject and a token must both match: other',
    { subject: 'ada', tokenId: 't' },
    { subject: 'ben', tokenId: 't' },
    false,
  ],
] as const) {
  test(name, async () => assert.equal(revoked(await listOf(target), { issuer, ...credential }, now), expected))
}

test('the same subject of another issuer is somebody else', async () => {
  const list = await listOf({ subject: 'ada' })
  assert.equal(revoked(list, { issuer: 'https://other.example.com', subject: 'ada' }, now), false)
})

test('a revocation ends at its time, and writing drops those that ended', async () => {
  const store = new MemoryStore(() => now)
  await revoke(store, { issuer, subject: 'ada', until }, now)
  const { revocations } = await readRevocations(store)
  assert.equal(revoked(revocations, { issuer, subject: 'ada' }, until * 1000 - 1), true)
  assert.equal(revoked(revocations, { issuer, subject: 'ada' }, until * 1000), false)
  await revoke(store, { issuer, subject: 'ben', until: until + 60 }, until * 1000)
  assert.equal((await readRevocations(store)).revocations.size, 1)
})

test('a revocation can be taken back once', async () => {
  const store = new MemoryStore(() => now)
  await revoke(store, { issuer, subject: 'ada', until }, now)
  assert.equal(await restore(store, { issuer, subject: 'ada' }), true)
  assert.equal(await restore(store, { issuer, subject: 'ada' }), false)
  assert.equal((await readRevocations(store)).revocations.size, 0)
})

test('a full list refuses another but lets an old one be renewed', async () => {
  const store = new MemoryStore(() => now)
  const items = Array.from({ length: maxRevocations }, (_, n) => ({ issuer, subject: `s${n}`, until }))
  await store.set(revocationCodec.key, JSON.stringify({ format: 1, items }))
  await assert.rejects(revoke(store, { issuer, subject: 'one more', until }, now), /10000 revocations/)
  await revoke(store, { issuer, subject: 's0', until: until + 1 }, now)
})
