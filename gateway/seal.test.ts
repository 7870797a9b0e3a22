import * as fc from 'fast-check'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { keyRing, Sealer, type Purpose } from './seal.ts'

const key = (fill: number) => new Uint8Array(32).fill(fill)
const encoded = (fill: number, length = 32) => Buffer.alloc(length, fill).toString('base64url')
const purposes: readonly Purpose[] = ['session', 'cursor', 'state', 'task', 'backend-session']
const sealer = new Sealer([{ kid: 'a', key: key(1) }])

test('what was sealed opens for its purpose and for no other', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...purposes),
      fc.constantFrom(...purposes),
      fc.json(),
      async (made, asked, json) => {
        const payload = JSON.parse(json) as unknown
        const sealed = await sealer.seal(made, payload)
        assert.match(sealed, /^[\x21-\x7e]+$/u)
        assert.deepEqual(await sealer.open(asked, sealed), made === asked ? payload : undefined)
      },
    ),
    { numRuns: 50 },
  )
})

test('nothing of the payload can be read, and no two seals are alike', async () => {
  const sealed = await sealer.seal('session', { subject: 'alice' })
  const parts = sealed.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'))
  assert.ok(parts.every((part) => !part.includes('alice')))
  assert.notEqual(await sealer.seal('session', { subject: 'alice' }), sealed)
})

test('whatever is changed, it does not open', async () => {
  const sealed = await sealer.seal('cursor', { at: 1 })
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  await fc.assert(
    fc.asyncProperty(fc.nat(sealed.length - 1), fc.constantFrom(...alphabet.split('')), async (at, char) => {
      const changed = sealed.slice(0, at) + char + sealed.slice(at + 1)
      const bytes = (text: string) => text.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'))
      if (String(bytes(changed)) === String(bytes(sealed))) return
      assert.equal(await sealer.open('cursor', changed), undefined)
    }),
  )
  const [header = '', ...rest] = sealed.split('.')
  for (const other of [{ alg: 'none' }, { alg: 'dir', enc: 'A256GCM', kid: 'a', typ: 'session' }, {}]) {
    const forged = [Buffer.from(JSON.stringify(other)).toString('base64url'), ...rest].join('.')
    assert.equal(await sealer.open('cursor', forged), undefined)
    assert.equal(await sealer.open('session', forged), undefined)
  }
  for (const text of ['', '.', '....', header, sealed.slice(0, -1), `${sealed}.`, ` ${sealed}`, `${sealed}AA`])
    assert.equal(await sealer.open('cursor', text), undefined, text)
})

describe('keys', () => {
  const both = new Sealer([
    { kid: 'b', key: key(2) },
    { kid: 'a', key: key(1) },
  ])
  test('rotate without ending what was sealed', async () => {
    const old = await sealer.seal('session', 1)
    assert.equal(await both.open('session', old), 1)
    const fresh = await both.seal('session', 2)
    assert.equal(await both.open('session', fresh), 2)
    assert.equal(await sealer.open('session', fresh), undefined)
    assert.equal(await new Sealer([{ kid: 'b', key: key(2) }]).open('session', old), undefined)
  })
  test('of one id are not one key', async () => {
    const other = new Sealer([{ kid: 'a', key: key(3) }])
    assert.equal(await other.open('session', await sealer.seal('session', 1)), undefined)
  })
  test('are needed to seal', async () => {
    await assert.rejects(new Sealer([]).seal('session', 1), /no sealing key/)
  })
  test('are read from their setting, the first one first', () => {
    assert.deepEqual(keyRing(`new:${encoded(2)}, old:${encoded(255)}`, 'KEYS'), [
      { kid: 'new', key: key(2) },
      { kid: 'old', key: key(255) },
    ])
  })
  for (const setting of [
    '',
    'a',
    'a:',
    `:${encoded(1)}`,
    `a:${encoded(1, 31)}`,
    `a:${encoded(1, 33)}`,
    'a:!!!',
    `a:${encoded(1)},`,
  ]) {
    test(`that are malformed name their setting: "${setting}"`, () =>
      assert.throws(() => keyRing(setting, 'KEYS'), /^Error: KEYS must be/))
  }
})

test('what servers put into a seal may be long, and what clients could send is bounded', async () => {
  const long = 'x'.repeat(100_000)
  for (const purpose of ['state', 'backend-session'] as const)
    assert.equal(await sealer.open(purpose, await sealer.seal(purpose, long)), long)
  for (const purpose of ['session', 'cursor', 'task'] as const)
    assert.equal(await sealer.open(purpose, await sealer.seal(purpose, long)), undefined)
})
