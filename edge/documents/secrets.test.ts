import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import type { KeyRing } from '../../gateway/seal.ts'
import { MemoryStore } from '../../gateway/store/memory.ts'
import { Fault } from '../../protocol/fault.ts'
import { deleteSecret, maxSecretKeys, openSecret, readSecrets, resealSecrets, setSecret, summarize } from './secrets.ts'
import { open, seal, sealedBy } from './vault.ts'

const key = (kid: string): KeyRing[number] => ({ kid, key: crypto.getRandomValues(new Uint8Array(32)) })
const [first, second] = [key('one'), key('two')]
const data = (values: Record<string, string>) => new Map(Object.entries(values))
const refused = (error: unknown) => error instanceof Fault && error.reason === 'internal'

async function filled(keys: KeyRing): Promise<MemoryStore> {
  const store = new MemoryStore(Date.now)
  await setSecret(store, keys, { namespace: 'a', name: 's', data: data({ token: 'hush', user: 'me' }) })
  return store
}

test('a secret opens under its own name only', async () => {
  const { secrets } = await readSecrets(await filled([first]))
  assert.equal(await openSecret(secrets, [first], 'a', 's', 'token'), 'hush')
  for (const [namespace, name, key] of [
    ['b', 's', 'token'],
    ['a', 'other', 'token'],
    ['a', 's', 'none'],
  ] as const)
    assert.equal(await openSecret(secrets, [first], namespace, name, key), undefined)
})

test('a sealed value that was moved to another place does not open', async () => {
  const sealed = await seal([first], { namespace: 'a', name: 's', key: 'k' }, 'hush')
  for (const place of [
    { namespace: 'b', name: 's', key: 'k' },
    { namespace: 'a', name: 't', key: 'k' },
    { namespace: 'a', name: 's', key: 'l' },
  ])
    await assert.rejects(open([first], place, sealed), refused)
})

test('an altered value or header does not open', async () => {
  const place = { namespace: 'a', name: 's', key: 'k' }
  const parts = (await seal([first], place, 'hush')).split('.')
  for (const index of [0, 2, 3, 4]) {
    const part = parts[index] ?? ''
    const altered = parts.with(index, (part[0] === 'A' ? 'B' : 'A') + part.slice(1)).join('.')
    await assert.rejects(open([first], place, altered), refused)
  }
  await assert.rejects(open([first], place, 'garbage'), refused)
})

test('every well-formed text survives sealing and opening', async () => {
  const place = { namespace: 'a', name: 's', key: 'k' }
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 200 }), async (text) => {
      assert.equal(await open([first], place, await seal([first], place, text)), text)
    }),
  )
  assert.equal(await open([first], place, await seal([first], place, '\uFEFFbom')), '\uFEFFbom')
})

test('the stored document holds no value in clear', async () => {
  const entry = await (await filled([first])).get('secrets')
  assert.ok(entry !== null && !entry.value.includes('hush') && !entry.value.includes(btoa('hush')))
})

test('setting a key leaves the others, and listings have names and keys only', async () => {
  const store = await filled([first])
  const summary = await setSecret(store, [first], { namespace: 'a', name: 's', data: data({ token: 'new' }) })
  assert.deepEqual(summary, { namespace: 'a', name: 's', keys: ['token', 'user'] })
  const { secrets } = await readSecrets(store)
  assert.deepEqual(summarize(secrets), [summary])
  assert.equal(await openSecret(secrets, [first], 'a', 's', 'token'), 'new')
  assert.equal(await openSecret(secrets, [first], 'a', 's', 'user'), 'me')
})

test('a new first key seals what is written and still opens what the old one sealed', async () => {
  const store = await filled([first])
  await setSecret(store, [second, first], { namespace: 'a', name: 't', data: data({ k: 'v' }) })
  const { secrets } = await readSecrets(store)
  assert.equal(sealedBy(secrets.get('a/t')?.get('k') ?? ''), 'two')
  assert.equal(await openSecret(secrets, [second, first], 'a', 's', 'token'), 'hush')
})

test('after resealing the old key can go', async () => {
  const store = await filled([first])
  assert.deepEqual(await resealSecrets(store, [second, first]), { resealed: 2, current: 0, unreadable: [] })
  const { secrets } = await readSecrets(store)
  assert.equal(await openSecret(secrets, [second], 'a', 's', 'token'), 'hush')
  assert.deepEqual(await resealSecrets(store, [second]), { resealed: 0, current: 2, unreadable: [] })
})

test('resealing without the old key names what it cannot open and destroys nothing', async () => {
  const store = await filled([first])
  const { unreadable } = await resealSecrets(store, [second])
  assert.deepEqual(unreadable, ['a/s/token', 'a/s/user'])
  const { secrets } = await readSecrets(store)
  await assert.rejects(openSecret(secrets, [second], 'a', 's', 'token'), refused)
  assert.equal(await openSecret(secrets, [first], 'a', 's', 'token'), 'hush')
})

test('a write seals the rest of its secret anew as well', async () => {
  const store = await filled([first])
  await setSecret(store, [second, first], { namespace: 'a', name: 's', data: data({ token: 'new' }) })
  const { secrets } = await readSecrets(store)
  assert.equal(await openSecret(secrets, [second], 'a', 's', 'user'), 'me')
})

test('a secret has at most 64 keys', async () => {
  const store = await filled([first])
  const many = new Map(Array.from({ length: maxSecretKeys - 1 }, (_, n) => [`k${n}`, 'v']))
  await assert.rejects(setSecret(store, [first], { namespace: 'a', name: 's', data: many }), /would have 65 keys/)
})

test('a deleted secret is gone, and deleting it again says so', async () => {
  const store = await filled([first])
  assert.equal(await deleteSecret(store, 'a', 's'), true)
  assert.equal(await deleteSecret(store, 'a', 's'), false)
  assert.equal((await readSecrets(store)).secrets.size, 0)
})
