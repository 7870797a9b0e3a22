// Who gets in: every wrong credential is refused with the right status, challenge and audit event, and no credential of a
// caller ever reaches a backend.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Forgery } from '../issuer.ts'
import type { Exchange } from '../peers/wire.ts'
import { audited, call, refused, startGuarded } from './guarded.ts'
import type { Guarded } from './guarded.ts'

describe('tokens', () => {
  let world: Guarded
  let edge: Guarded['edge']
  let other: Guarded['other']
  let guarded: Guarded['guarded']

  before(async () => {
    world = await startGuarded()
    ;({ edge, other, guarded } = world)
  })
  after(() => world?.close())

  test('a request without a token is refused, with where to get one and no accusation', async () => {
    let response: Exchange | undefined
    const events = await audited(edge, async () => {
      response = await call(guarded, undefined)
    })
    assert.ok(response)
    const asked = refused(response, guarded)
    assert.equal(asked['error'], undefined)
    assert.deepEqual(
      events.map(({ outcome }) => outcome),
      ['denied'],
    )
  })

  const now = (): number => Math.floor(Date.now() / 1000)
  const wrong: Record<string, () => Promise<string>> = {
    'of another issuer': () => other.token(guarded),
    'that names another issuer than the one that signed it': () => edge.token(guarded, { iss: other.url }),
    'for another audience': () => edge.token('https://elsewhere.example'),
    'for another virtual server': () => edge.token(edge.endpoint('neighbour')),
    'for the origin instead of the endpoint': () => edge.token(edge.url),
    'for the admin API': () => edge.adminToken(),
    'that expired': () => edge.token(guarded, { iat: now() - 1200, exp: now() - 600 }),
    'that is not yet valid': () => edge.token(guarded, { nbf: now() + 600 }),
    'that never expires': () => edge.token(guarded, { exp: undefined as unknown as number }),
    'without a subject': () => edge.token(guarded, { sub: undefined as unknown as string }),
    'whose signature was cut off': async () => (await edge.token(guarded)).replace(/\.[^.]*$/, '.'),
    'whose claims were changed': async () => {
      const [head = '', , signature = ''] = (await edge.token(guarded)).split('.')
      const claims = { iss: edge.issuer.url, aud: guarded, sub: 'root', exp: now() + 600 }
      return `${head}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`
    },
    'that is no JWT': () => Promise.resolve('not-a-token'),
    'that is enormous': () => Promise.resolve(`${'a'.repeat(12_000)}.b.c`),
  }
  const forgeries: readonly Forgery[] = [
    'unsigned',
    'signed with the public key as a secret',
    'signed by another key',
    'signed by an unknown key id',
  ]
  for (const forgery of forgeries) wrong[`that is ${forgery}`] = () => edge.issuer.forge(forgery, guarded)

  for (const [kind, make] of Object.entries(wrong)) {
    test(`a token ${kind} is refused with a challenge and one audit event`, async () => {
      const bad = await make()
      let response: Exchange | undefined
      const events = await audited(edge, async () => {
        response = await call(guarded, bad)
      })
      assert.ok(response)
      const asked = refused(response, guarded)
      assert.equal(asked['error'], 'invalid_token')
      assert.deepEqual(
        events.map(({ outcome }) => outcome),
        ['denied'],
      )
      assert.ok(!edge.lines().some((line) => line.includes(bad)), 'a token was logged')
    })
  }

  test('a token in the query is no token', async () => {
    const response = await call(`${guarded}?access_token=${await world.token(guarded)}`, undefined)
    assert.equal(response.status, 401)
  })

  test('a good token is let in, and its request is audited once, with who and what', async () => {
    const bearer = await world.token(guarded)
    const events = await audited(edge, () => call(guarded, bearer))
    assert.equal(events.length, 1)
    const [event] = events
    assert.equal(event?.['type'], 'mcp_tool_call')
    assert.equal(event['outcome'], 'success')
    assert.equal((event['subjects'] as Record<string, unknown>)['user'], 'ada')
    assert.equal((event['target'] as Record<string, unknown>)['name'], 'echo')
  })

  test('clock skew is allowed as configured, and no further', async () => {
    const late = { iat: now() - 600, exp: now() - 5 }
    assert.equal((await call(guarded, await world.token(guarded, late))).status, 200)
    const skewed = edge.endpoint('skewed')
    assert.equal((await call(skewed, await world.token(skewed, late))).status, 401)
  })

  test('an algorithm outside the list of the configuration is refused', async () => {
    const endpoint = edge.endpoint('rsa')
    refused(await call(endpoint, await world.token(endpoint)), endpoint)
  })

  test('an opaque token is introspected once, and a wrong one is refused', async () => {
    const endpoint = edge.endpoint('opaque')
    const good = world.opaque(endpoint)
    const before = edge.issuer.fetches.introspection
    for (let turn = 0; turn < 5; turn += 1) assert.equal((await call(endpoint, good)).status, 200)
    assert.equal(edge.issuer.fetches.introspection - before, 1)
    refused(await call(endpoint, edge.issuer.opaque(guarded)), endpoint)
    refused(await call(endpoint, 'opaque-unknown'), endpoint)
    const stale = edge.issuer.opaque(endpoint, { exp: now() - 600 })
    refused(await call(endpoint, stale), endpoint)
  })

  test('a storm of unknown key ids does not become a storm at the issuer, and good tokens still pass', async () => {
    const before = edge.issuer.fetches.jwks + edge.issuer.fetches.discovery
    const bad = await Promise.all(
      Array.from({ length: 200 }, () => edge.issuer.forge('signed by an unknown key id', guarded)),
    )
    const statuses = await Promise.all(bad.map(async (bearer) => (await call(guarded, bearer)).status))
    assert.deepEqual([...new Set(statuses)], [401])
    const fetched = edge.issuer.fetches.jwks + edge.issuer.fetches.discovery - before
    assert.ok(fetched <= 4, `${fetched} fetches for 200 tokens`)
    assert.equal((await call(guarded, await world.token(guarded))).status, 200)
  })

  test('a rotated key is found, within the bound that stops a storm', { timeout: 150_000 }, async () => {
    await edge.issuer.rotate()
    const deadline = Date.now() + 120_000
    for (;;) {
      const { status } = await call(guarded, await world.token(guarded))
      if (status === 200) break
      assert.ok(Date.now() < deadline, 'the new key was never fetched')
      await sleep(500)
    }
  })

  test('no token of a caller ever reached a backend', () => {
    world.assertNoLeak()
  })
})
