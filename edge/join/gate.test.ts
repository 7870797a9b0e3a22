import assert from 'node:assert/strict'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { sha256 } from '../../gateway/sha256.ts'
import type { Cluster } from '../documents/clusters.ts'
import { Fault } from '../../protocol/fault.ts'
import { JOIN, PROOF_HEADER } from '../../protocol/join.ts'
import { MAX_KNOCKS, type Sql } from './admission.ts'
import { apiServer, EDGE, entry, pair, stage as stageWith, type Wrong } from './knocker.ts'

const TOKEN = 't'.repeat(43)
const TOKEN_HASH = await sha256(TOKEN)
const NOW = Date.UTC(2026, 10, 1)
const tokenEntry = () => entry('a', { tokens: [{ hash: TOKEN_HASH, expires: NOW + 3600_000 }] })

const stage = (entries: readonly Cluster[]) => stageWith(entries, memorySql)

/** SQLite in memory, spelled as a Durable Object spells it. */
function memorySql(): Sql {
  const database = new DatabaseSync(':memory:')
  return {
    exec: (query, ...bindings) => {
      if (!query.includes('CREATE')) {
        const rows = database.prepare(query).all(...bindings)
        return { toArray: () => rows }
      }
      database.exec(query)
      return { toArray: () => [] }
    },
  }
}

/** A cluster whose key is in. */
async function joined() {
  const me = await pair()
  const at = stage([tokenEntry(), entry('b')])
  assert.equal((await at.join(me, 'a', TOKEN)).status, 200)
  return { me, ...at }
}

async function byOidc(over: object = {}) {
  const api = await apiServer()
  const { issuer, jwks } = api
  const at = stage([
    entry('a', { method: 'kubernetes-oidc', issuer, jwks, ...over }),
    entry('b', { method: 'kubernetes-oidc', issuer, jwks }),
  ])
  return { api, me: await pair(), ...at }
}

test('a join token makes a key the identity of its cluster, which opens sessions and connects', async () => {
  const { me, session, connect, asked, attempts } = await joined()
  const opened = await session(me, 'a')
  assert.equal(opened.status, 200)
  assert.equal(Number(opened.body['expires']) - NOW, 600_000)
  assert.equal((await connect(me, 'a', opened.body['token'] ?? '')).status, 204)
  assert.deepEqual(
    asked.map(({ path, knock }) => [path, knock.cluster, knock.thumbprint]),
    ['/join', '/session', '/connect'].map((path) => [path, 'a', me.thumbprint]),
  )
  assert.equal(asked[2]?.knock.replica, 'pod-1')
  assert.deepEqual(
    attempts.map(({ step, refusal }) => [step, refusal]),
    [
      ['join', undefined],
      ['session', undefined],
      ['connect', undefined],
    ],
  )
})

test('a join token is redeemed once: again only by the same key and for ten minutes', async () => {
  const { me, join, clock, clusters } = await joined()
  assert.equal((await join(me, 'a', TOKEN)).status, 200)
  const other = await join(await pair(), 'a', TOKEN)
  assert.deepEqual([other.status, other.reason], [403, 'not_admitted'])
  clock.now += 600_001
  assert.equal((await join(me, 'a', TOKEN)).status, 403)
  assert.ok(!(await clusters()).includes(TOKEN))
})

test('of many keys that redeem one token at once exactly one becomes the identity', async () => {
  const at = stage([tokenEntry()])
  const keys = await Promise.all(Array.from({ length: 8 }, () => pair()))
  const answers = await Promise.all(keys.map((key) => at.join(key, 'a', TOKEN)))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  const sessions = await Promise.all(keys.map((key) => at.session(key, 'a')))
  assert.deepEqual(
    sessions.map(({ status }) => status),
    answers.map(({ status }) => status),
  )
})

test('an expired join token and one of another cluster are refused before a hub hears of them', async () => {
  const at = stage([tokenEntry(), entry('b')])
  const me = await pair()
  assert.equal((await at.join(me, 'b', TOKEN)).reason, 'not_admitted')
  assert.equal((await at.join(me, 'nowhere', TOKEN)).reason, 'not_admitted')
  at.clock.now += 3600_001
  assert.equal((await at.join(me, 'a', TOKEN)).reason, 'not_admitted')
  assert.deepEqual(at.asked, [])
  assert.deepEqual(
    at.attempts.map(({ refusal }) => refusal?.detail),
    ['unknown join token', 'cluster is not known', 'join token has expired'],
  )
})

test('strangers cannot tell a wrong token from an unknown, revoked or differently joining cluster', async () => {
  const api = await apiServer()
  const { issuer, jwks } = api
  const revoked = { ...entry('r', { method: 'kubernetes-oidc', issuer, jwks }), revokedAt: 1 }
  const at = stage([entry('a', { method: 'kubernetes-oidc', issuer, jwks }), revoked, entry('t')])
  const forged = await (await apiServer(issuer)).token('a', NOW)
  const answers = await Promise.all(
    ['a', 'r', 't', 'nowhere'].map(async (id) => at.session(await pair(), id, {}, { bearer: forged })),
  )
  for (const { status, body } of answers) assert.deepEqual([status, body], [answers[0]?.status, answers[0]?.body])
  assert.equal(answers[0]?.reason, 'not_admitted')
  assert.equal(new Set(at.attempts.map(({ refusal }) => refusal?.detail)).size, 4)
  assert.deepEqual(at.asked, [])
})

const other = await pair()
const proofs: readonly [name: string, wrong: Wrong, reason: string][] = [
  ['signed by another key than it names', { signer: other }, 'invalid_proof'],
  ['of another type', { header: { typ: 'dpop+jwt' } }, 'invalid_proof'],
  ['with a private key in its header', { header: { jwk: { ...other.jwk, d: 'A'.repeat(43) } } }, 'invalid_proof'],
  ['with a further header', { header: { kid: 'x' } }, 'invalid_proof'],
  ['for another method', { claims: { htm: 'GET' } }, 'invalid_proof'],
  ['for another URL', { claims: { htu: `${EDGE}${JOIN.join}` } }, 'invalid_proof'],
  ['for another edge', { claims: { htu: `https://other.example.com${JOIN.session}` } }, 'invalid_proof'],
  ['for another body', { claims: { dig: 'A'.repeat(43) } }, 'invalid_proof'],
  ['for no body', { claims: { dig: undefined } }, 'invalid_proof'],
  ['for a token that was not shown', { claims: { ath: 'A'.repeat(43) } }, 'invalid_proof'],
  ['without an id', { claims: { jti: undefined } }, 'invalid_proof'],
  ['for another cluster than the body', { claims: { cluster: 'b' } }, 'stale_nonce'],
  ['with somebody else’s nonce', { claims: { nonce: 'eyJhbGciOiJkaXIifQ..a.b.c' } }, 'stale_nonce'],
  ['five minutes slow', { claims: { iat: NOW / 1000 - 300 } }, 'clock_skew'],
  ['five minutes fast', { claims: { iat: NOW / 1000 + 300 } }, 'clock_skew'],
]
for (const [name, wrong, reason] of proofs) {
  test(`a proof ${name} is refused and audited, and no hub hears of it`, async () => {
    const { me, session, asked, attempts } = await joined()
    asked.length = 0
    const answer = await session(me, 'a', {}, wrong)
    assert.equal(answer.reason, reason)
    assert.deepEqual(asked, [])
    assert.equal(attempts.at(-1)?.refusal?.reason, reason)
  })
}

test('a cluster that says in a body that it is another is refused, whatever it has proved of itself', async () => {
  const at = stage([tokenEntry(), entry('b', { tokens: [{ hash: TOKEN_HASH, expires: NOW + 3600_000 }] })])
  const me = await pair()
  for (const [path, content] of [
    [JOIN.join, { cluster: 'b', token: TOKEN }],
    [JOIN.session, { cluster: 'b', replica: 'pod-1' }],
  ] as const) {
    const init = await at.signed(me, 'a', path, content)
    assert.equal((await at.request(path, init)).reason, 'invalid_request')
    const { refusal, trace } = at.attempts.at(-1) ?? {}
    assert.deepEqual([refusal?.detail, trace?.cluster], ['body and proof name different clusters', 'a'])
  }
  assert.deepEqual(at.asked, [])
})

test('a proof without a signature is refused', async () => {
  const { me, signed, request } = await joined()
  const init = await signed(me, 'a', JOIN.session, { cluster: 'a', replica: 'pod-1' })
  const [, payload] = init.headers[PROOF_HEADER].split('.')
  const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'waggle-proof+jwt', jwk: me.jwk })).toString('base64url')
  const headers = { ...init.headers, [PROOF_HEADER]: `${none}.${payload}.` }
  assert.equal((await request(JOIN.session, { ...init, headers })).reason, 'invalid_proof')
})

test('a request that was overheard is of no use: not again, and not after its nonce', async () => {
  const { me, signed, request, clock } = await joined()
  const init = await signed(me, 'a', JOIN.session, { cluster: 'a', replica: 'pod-1' })
  assert.equal((await request(JOIN.session, init)).status, 200)
  assert.equal((await request(JOIN.session, init)).reason, 'replayed')
  const late = await signed(me, 'a', JOIN.session, { cluster: 'a', replica: 'pod-1' })
  clock.now += 60_000
  assert.equal((await request(JOIN.session, late)).reason, 'stale_nonce')
})

test('the same proof sent many times at once lets one in', async () => {
  const { me, signed, request } = await joined()
  const init = await signed(me, 'a', JOIN.session, { cluster: 'a', replica: 'pod-1' })
  const answers = await Promise.all(Array.from({ length: 8 }, () => request(JOIN.session, init)))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
})

test('a session is of no use with another key, for another cluster, or after ten minutes', async () => {
  const { me, session, connect, clock } = await joined()
  const { body } = await session(me, 'a')
  const token = body['token'] ?? ''
  assert.equal((await connect(await pair(), 'a', token)).reason, 'not_admitted')
  assert.equal((await connect(me, 'b', token)).reason, 'not_admitted')
  assert.equal((await connect(me, 'a', 'made-up')).reason, 'session_expired')
  clock.now += 600_000
  assert.equal((await connect(me, 'a', token)).reason, 'session_expired')
})

test('revocation holds at once, even where an isolate has an older copy of the entry', async () => {
  const { me, session, connect, put, asked } = await joined()
  const { body } = await session(me, 'a')
  await put({ ...entry('a'), revokedAt: NOW })
  assert.equal((await connect(me, 'a', body['token'] ?? '')).reason, 'not_admitted')
  assert.equal((await session(me, 'a')).reason, 'not_admitted')
  assert.deepEqual(asked.at(-1)?.path, '/session')
})

test('a cluster that was deleted and added again does not take sessions of its predecessor', async () => {
  const { me, session, connect, put, clock } = await joined()
  const { body } = await session(me, 'a')
  await put(entry('a', { uid: 'another', keys: [{ thumbprint: me.thumbprint, jwk: me.jwk, since: 0 }] }))
  assert.equal((await connect(me, 'a', body['token'] ?? '')).reason, 'not_admitted')
  clock.now += 3_000
  assert.equal((await connect(me, 'a', body['token'] ?? '')).reason, 'not_admitted')
})

test('a ServiceAccount token opens a session for the pod that it is bound to', async () => {
  const { api, me, session, connect, attempts } = await byOidc()
  const opened = await session(me, 'a', {}, { bearer: await api.token('a', NOW) })
  assert.equal(opened.status, 200, JSON.stringify(opened.body))
  assert.equal((await connect(me, 'a', opened.body['token'] ?? '')).status, 204)
  assert.equal(attempts[0]?.trace.subject?.subject, 'system:serviceaccount:waggle-system:waggle-agent-uplink')
})

const accounts: readonly [name: string, claims: object, reason: string][] = [
  ['for another cluster', { aud: [`${EDGE}/clusters/b`] }, 'wrong_audience'],
  ['for the API server', { aud: ['https://kubernetes.default.svc'] }, 'wrong_audience'],
  ['for several audiences', { aud: [`${EDGE}/clusters/a`, 'https://elsewhere'] }, 'wrong_audience'],
  ['of another ServiceAccount', { sub: 'system:serviceaccount:waggle-system:default' }, 'wrong_subject'],
  ['of another namespace', { sub: 'system:serviceaccount:team:waggle-agent-uplink' }, 'wrong_subject'],
  ['of another issuer', { iss: 'https://elsewhere' }, 'not_admitted'],
  ['of another pod', { 'kubernetes.io': { pod: { uid: 'pod-2' } } }, 'wrong_subject'],
  ['of no pod', { 'kubernetes.io': {} }, 'wrong_subject'],
  ['that has expired', { exp: NOW / 1000 - 31 }, 'token_expired'],
]
for (const [name, claims, reason] of accounts) {
  test(`a ServiceAccount token ${name} is refused and audited, and no hub hears of it`, async () => {
    const { api, me, session, asked, attempts } = await byOidc()
    const answer = await session(me, 'a', {}, { bearer: await api.token('a', NOW, claims) })
    assert.equal(answer.reason, reason)
    assert.deepEqual(asked, [])
    assert.equal(attempts.at(-1)?.refusal?.reason, reason)
  })
}

test('a ServiceAccount token belongs to the first key that showed it, until it ends', async () => {
  const { api, me, session, clock } = await byOidc()
  const bearer = await api.token('a', NOW)
  const thief = await pair()
  assert.equal((await session(me, 'a', {}, { bearer })).status, 200)
  assert.equal((await session(thief, 'a', {}, { bearer })).reason, 'token_bound')
  assert.equal((await session(me, 'a', {}, { bearer })).status, 200)
  clock.now += 500_000
  assert.equal((await session(thief, 'a', {}, { bearer })).reason, 'token_bound')
})

test('a renewal names its connection to the hub', async () => {
  const { me, session, asked } = await joined()
  await session(me, 'a', { connection: 'c-1' })
  assert.equal(asked.at(-1)?.knock.connection, 'c-1')
})

test('a key announces its successor; both are good until a day after the successor was first used', async () => {
  const { me, session, clock } = await joined()
  const next = await pair()
  assert.equal((await session(next, 'a')).reason, 'not_admitted')
  assert.equal((await session(me, 'a', { nextKey: next.jwk })).status, 200)
  clock.now += 48 * 3600_000
  assert.equal((await session(me, 'a')).status, 200)
  assert.equal((await session(next, 'a')).status, 200)
  clock.now += 24 * 3600_000 - 10_000
  assert.equal((await session(me, 'a')).status, 200)
  clock.now += 10_000
  assert.equal((await session(me, 'a')).reason, 'not_admitted')
  assert.equal((await session(next, 'a')).status, 200)
})

test('what is no public P-256 key cannot be announced, and clusters that join by OIDC announce none', async () => {
  const { me, session } = await joined()
  const next = await pair()
  for (const nextKey of [{ ...next.jwk, d: 'A'.repeat(43) }, { ...next.jwk, x: 'A'.repeat(43) }, 'key', null])
    assert.equal((await session(me, 'a', { nextKey })).reason, 'invalid_request')
  const oidc = await byOidc()
  const bearer = await oidc.api.token('a', NOW)
  assert.equal((await oidc.session(oidc.me, 'a', { nextKey: next.jwk }, { bearer })).reason, 'invalid_request')
})

test('a cluster that knocks too often is told how long to wait, and others are not slowed down', async () => {
  const { api, me, session, clock } = await byOidc()
  const open = async (id: string) => session(me, id, {}, { bearer: await api.token(id, NOW) })
  for (let count = 0; count < MAX_KNOCKS; count++) assert.equal((await open('a')).status, 200)
  const refused = await open('a')
  assert.deepEqual([refused.status, refused.reason, refused.headers.get('retry-after')], [429, 'too_many', '60'])
  assert.equal((await open('b')).status, 200)
  clock.now += 60_000
  assert.equal((await open('a')).status, 200)
})

test('a nonce is given for any name and audited for none', async () => {
  const { nonce, attempts, request } = stage([])
  assert.notEqual(await nonce('nowhere'), '')
  assert.equal(attempts.length, 0)
  for (const body of ['{"cluster":"Not A Label"}', '{', '', '[]'])
    assert.equal((await request(JOIN.nonce, { method: 'POST', body })).reason, 'invalid_request')
  assert.equal(attempts.length, 4)
})

test('a body that is too large, a wrong method and a wrong path are refused', async () => {
  const { request, attempts } = stage([])
  assert.equal((await request(JOIN.nonce, { method: 'POST', body: 'x'.repeat(40_000) })).status, 400)
  assert.equal((await request(JOIN.session, { method: 'GET' })).status, 400)
  assert.equal((await request('/link/v2/session', { method: 'POST' })).status, 400)
  assert.equal((await request(JOIN.connect, { method: 'GET' })).reason, 'invalid_request')
  assert.equal(attempts.length, 4)
})

test('whatever a stranger sends is refused and audited, and no hub hears of it', async () => {
  const at = stage([tokenEntry(), entry('b')])
  const bytes = fc
    .string({ unit: 'binary-ascii', maxLength: 300 })
    .map((text) => text.replaceAll(/[^\x20-\x7e]/gu, '.'))
  const token = fc.oneof(
    bytes,
    fc.array(fc.base64String({ maxLength: 80 }), { maxLength: 6 }).map((parts) => parts.join('.')),
  )
  const path = fc.constantFrom(JOIN.join, JOIN.session, JOIN.connect)
  await fc.assert(
    fc.asyncProperty(path, token, token, fc.oneof(bytes, fc.json()), async (path, proof, bearer, body) => {
      const before = at.attempts.length
      const headers = { [PROOF_HEADER]: proof, authorization: `Bearer ${bearer}`, upgrade: 'websocket' }
      const init = path === JOIN.connect ? { method: 'GET', headers } : { method: 'POST', headers, body }
      const { status, reason } = await at.request(path, init)
      assert.ok(status >= 400 && status < 500, `${status} ${reason}`)
      assert.equal(at.attempts.length, before + 1)
    }),
    { numRuns: 300 },
  )
  assert.deepEqual(at.asked, [])
})

test('while the store is away the answer is to try again', async () => {
  const { me, session, store, attempts } = await joined()
  store.peek = async () => {
    throw new Fault('store_unavailable', 'away')
  }
  const answer = await session(me, 'a')
  assert.deepEqual([answer.status, answer.reason, answer.headers.get('retry-after')], [503, 'unavailable', '2'])
  assert.equal(attempts.at(-1)?.refusal?.reason, 'unavailable')
})
