// Who joins a real edge and who does not: every wrong credential is refused, audited, and leaves nothing behind.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Identity } from '../../agent/uplink/identity.ts'
import { JoinError, Sessions } from '../../agent/uplink/session.ts'
import { JOIN } from '../../protocol/join.ts'
import { type AuditEvent, startEdge, type TestEdge } from '../edge.ts'
import { type Forgery, type Issuer, startIssuer } from '../issuer.ts'
import { Knocker, post, type Reply, upgrade } from './knock.ts'
import { ScriptedUplink } from './scripted-uplink.ts'

const UPLINK = 'system:serviceaccount:toolhive-system:waggle-agent-uplink'
const POD = { 'kubernetes.io': { namespace: 'toolhive-system', pod: { name: 'uplink', uid: 'pod-1' } } }
const soon = () => AbortSignal.timeout(30_000)

describe('an edge that clusters join', () => {
  let edge: TestEdge
  /** Signs the tokens of the ServiceAccounts of `east` and `west`. */
  let api: Issuer
  /** Everything that must never be printed. */
  const secrets: string[] = []

  before(async () => {
    edge = await startEdge()
    api = await startIssuer()
    for (const id of ['east', 'west']) await add(id, { method: 'kubernetes-oidc', issuer: api.url })
    for (const id of ['north', 'south']) await add(id, { method: 'join-token' })
  })
  after(async () => {
    await edge?.close()
    await api?.close()
  })

  const add = (id: string, spec: object): Promise<unknown> => admin('PUT', `clusters/${id}`, spec)
  const admin = async (method: string, path: string, body?: object): Promise<Record<string, unknown>> => {
    const response = await edge.admin(method, `/admin/v1/${path}`, body)
    const text = await response.text()
    assert.ok(response.ok, `${path}: ${response.status} ${text}`)
    return JSON.parse(text) as Record<string, unknown>
  }
  const mint = async (id: string, seconds = 600): Promise<string> => {
    const { token } = await admin('POST', `clusters/${id}/token`, { seconds })
    secrets.push(String(token))
    return String(token)
  }
  const account = async (id: string, claims: object = {}): Promise<string> => {
    const token = await api.token([`${edge.url}/clusters/${id}`], { sub: UPLINK, ...POD, ...claims })
    secrets.push(token)
    return token
  }
  const linksOf = async (id: string): Promise<unknown[]> => {
    const { clusters } = (await admin('GET', `status?cluster=${id}`)) as {
      clusters: { hub?: { connections: unknown[] } }[]
    }
    return clusters[0]?.hub?.connections ?? []
  }

  /** That it was refused for this reason, which the audit trail says exactly once for this key, and that nothing came of it. */
  async function refused(reply: Reply, who: Identity, step: string, reason: string): Promise<void> {
    assert.deepEqual([reply.reason, reply.status >= 400], [reason, true])
    const isIt = (event: AuditEvent) => keyOf(event) === who.thumbprint && methodOf(event) === `link.${step}`
    await edge.audited((event) => isIt(event) && event.outcome === 'denied')
    const about = edge.audit().filter((event) => isIt(event) && event.outcome === 'denied')
    assert.equal(about.length, 1)
    const { reason: told, detail } = extraOf(about[0])
    assert.equal(told, reason)
    assert.ok(typeof detail === 'string' && detail.length > 0, 'the audit trail says what was wrong')
  }

  test('lets an uplink in by the token of its ServiceAccount, with the keys that the issuer publishes', async () => {
    const identity = await Identity.generate()
    const now = () => Date.now()
    const sessions = new Sessions(
      { edge: edge.url, cluster: 'east', replica: 'pod-1', accountToken: () => account('east'), fetch, now },
      identity,
    )
    const { url, headers } = await sessions.connection(soon())
    assert.equal((await upgrade({ url, headers, body: undefined })).status, 101)
    const event = await edge.audited((one) => keyOf(one) === identity.thumbprint && methodOf(one) === 'link.session')
    assert.equal(event.outcome, 'success')
    assert.equal((event['subjects'] as Record<string, string>)['user'], UPLINK)
    assert.equal((event['target'] as Record<string, string>)['name'], 'east')
  })

  test('lets an uplink in by the keys that the admin uploaded, whatever its issuer is called', async () => {
    const jwks = (await (await fetch(`${api.address}/jwks`)).json()) as object
    await add('far', { method: 'kubernetes-oidc', issuer: 'https://kubernetes.default.svc', jwks })
    const knocker = new Knocker(edge.url, 'far')
    const token = await account('far', { iss: 'https://kubernetes.default.svc' })
    assert.equal((await knocker.session(await Identity.generate(), token)).status, 200)
  })

  test('lets an uplink in whose clock is five minutes off, because it signs by the edge’s', async () => {
    for (const off of [-300_000, 300_000]) {
      const now = () => Date.now() + off
      const host = {
        edge: edge.url,
        cluster: 'east',
        replica: 'pod-1',
        accountToken: () => account('east'),
        fetch,
        now,
      }
      const sessions = new Sessions(host, await Identity.generate())
      const credential = await sessions.renew(soon())
      assert.ok(Math.abs(credential.expires - now() - 600_000) < 30_000)
    }
  })

  const accounts: readonly [name: string, claims: object, reason: string][] = [
    ['of another ServiceAccount', { sub: 'system:serviceaccount:toolhive-system:default' }, 'wrong_subject'],
    ['of another namespace', { sub: 'system:serviceaccount:team:waggle-agent-uplink' }, 'wrong_subject'],
    ['for the API server', { aud: 'https://kubernetes.default.svc' }, 'wrong_audience'],
    ['of no pod', { 'kubernetes.io': {} }, 'wrong_subject'],
    ['of another pod', { 'kubernetes.io': { pod: { uid: 'pod-2' } } }, 'wrong_subject'],
    ['that has expired', { iat: 1, exp: 600 }, 'token_expired'],
    ['of another issuer', { iss: 'https://elsewhere.example.com' }, 'not_admitted'],
  ]
  for (const [name, claims, reason] of accounts) {
    test(`refuses a token ${name}`, async () => {
      const who = await Identity.generate()
      const reply = await new Knocker(edge.url, 'east').session(who, await account('east', claims))
      await refused(reply, who, 'session', reason)
    })
  }

  test('refuses a token for another cluster, though the same issuer signed it', async () => {
    const who = await Identity.generate()
    const reply = await new Knocker(edge.url, 'east').session(who, await account('west'))
    await refused(reply, who, 'session', 'wrong_audience')
  })

  const forgeries: readonly Forgery[] = [
    'unsigned',
    'signed with the public key as a secret',
    'signed by another key',
    'signed by an unknown key id',
  ]
  for (const forgery of forgeries) {
    test(`refuses a token that is ${forgery}`, async () => {
      const who = await Identity.generate()
      const token = await api.forge(forgery, `${edge.url}/clusters/east`, { sub: UPLINK, ...POD })
      await refused(await new Knocker(edge.url, 'east').session(who, token), who, 'session', 'not_admitted')
    })
  }

  test('refuses a token that was cloned and is shown with another key', async () => {
    const knocker = new Knocker(edge.url, 'east')
    const token = await account('east')
    assert.equal((await knocker.session(await Identity.generate(), token)).status, 200)
    const thief = await Identity.generate()
    await refused(await knocker.session(thief, token), thief, 'session', 'token_bound')
  })

  test('refuses a request for a session that it has seen before', async () => {
    const who = await Identity.generate()
    const more = { body: { cluster: 'east', replica: 'pod-1' }, bearer: await account('east') }
    const prepared = await new Knocker(edge.url, 'east').prepare(JOIN.session, who, more)
    assert.equal((await post(prepared)).status, 200)
    await refused(await post(prepared), who, 'session', 'replayed')
  })

  for (const [name, off] of [
    ['slow', -300_000],
    ['fast', 300_000],
  ] as const) {
    test(`refuses a proof that a clock five minutes ${name} has dated`, async () => {
      const who = await Identity.generate()
      const claimed = { now: Date.now() + off }
      const reply = await new Knocker(edge.url, 'east').session(who, await account('east'), claimed)
      await refused(reply, who, 'session', 'clock_skew')
    })
  }

  test('refuses a proof that names another cluster than its nonce', async () => {
    const who = await Identity.generate()
    const reply = await new Knocker(edge.url, 'west').session(who, await account('east'), { cluster: 'east' })
    await refused(reply, who, 'session', 'stale_nonce')
  })

  test('refuses a proof that was made for another edge', async () => {
    const who = await Identity.generate()
    const claimed = { url: `https://other.example.com${JOIN.session}` }
    const reply = await new Knocker(edge.url, 'east').session(who, await account('east'), claimed)
    await refused(reply, who, 'session', 'invalid_proof')
  })

  test('lets a key in by a join token, again if it missed the answer, and no other key ever', async () => {
    const knocker = new Knocker(edge.url, 'north')
    const token = await mint('north')
    const me = await Identity.generate()
    assert.equal((await knocker.join(me, token)).status, 200)
    assert.equal((await knocker.join(me, token)).status, 200)
    assert.equal((await knocker.session(me)).status, 200)
    const other = await Identity.generate()
    await refused(await knocker.join(other, token), other, 'join', 'not_admitted')
    assert.equal((await knocker.session(other)).reason, 'not_admitted')
    const { keys } = await admin('GET', 'clusters/north')
    assert.deepEqual(
      (keys as { thumbprint: string }[]).map(({ thumbprint }) => thumbprint),
      [me.thumbprint],
    )
  })

  test('of many keys that show one join token at once it lets in one', async () => {
    const token = await mint('south')
    const keys = await Promise.all(Array.from({ length: 8 }, () => Identity.generate()))
    const replies = await Promise.all(keys.map((key) => new Knocker(edge.url, 'south').join(key, token)))
    assert.equal(replies.filter(({ status }) => status === 200).length, 1)
    const sessions = await Promise.all(keys.map((key) => new Knocker(edge.url, 'south').session(key)))
    assert.deepEqual(
      sessions.map(({ status }) => status === 200),
      replies.map(({ status }) => status === 200),
    )
  })

  test('refuses a join token that has expired, is another cluster’s, or was made up', async () => {
    await add('late', { method: 'join-token' })
    const token = await mint('late', 1)
    await sleep(1_100)
    for (const [id, shown] of [
      ['late', token],
      ['late', await mint('north')],
      ['late', 'x'.repeat(43)],
      ['nowhere', token],
      ['east', token],
    ] as const) {
      const who = await Identity.generate()
      await refused(await new Knocker(edge.url, id).join(who, shown), who, 'join', 'not_admitted')
    }
  })

  describe('a session', () => {
    let me: Identity
    let session: string
    const knocker = () => new Knocker(edge.url, 'home')

    before(async () => {
      await add('home', { method: 'join-token' })
      me = await Identity.generate()
      assert.equal((await knocker().join(me, await mint('home'))).status, 200)
      session = String((await knocker().session(me)).body['token'])
      secrets.push(session)
    })

    test('connects, and each proof connects once', async () => {
      const prepared = await knocker().prepare(JOIN.connect, me, { bearer: session })
      assert.equal((await upgrade(prepared)).status, 101)
      await refused(await upgrade(prepared), me, 'connect', 'replayed')
    })

    test('is of no use to another key', async () => {
      const thief = await Identity.generate()
      await refused(await knocker().connect(thief, session), thief, 'connect', 'not_admitted')
      assert.ok((await linksOf('home')).length <= 1)
    })

    test('is of no use for another cluster, even for one that lets the same key in', async () => {
      await add('twin', { method: 'join-token' })
      const both = await Identity.generate()
      await knocker().join(both, await mint('home'))
      const own = String((await knocker().session(both)).body['token'])
      const twin = new Knocker(edge.url, 'twin')
      assert.equal((await twin.join(both, await mint('twin'))).status, 200)
      await refused(await twin.connect(both, own), both, 'connect', 'not_admitted')
      assert.deepEqual(await linksOf('twin'), [])
    })

    test('is of no use without a proof for it, and what is no session is of none at all', async () => {
      const who = await Identity.generate()
      const prepared = await knocker().prepare(JOIN.connect, who, { bearer: session, claimed: { token: 'other' } })
      assert.equal((await upgrade(prepared)).reason, 'invalid_proof')
      const { headers } = prepared
      assert.equal(
        (await upgrade({ ...prepared, headers: { authorization: headers['authorization'] ?? '' } })).reason,
        'invalid_proof',
      )
      const other = await Identity.generate()
      await refused(await knocker().connect(other, 'made-up'), other, 'connect', 'session_expired')
    })
  })

  test('a key that is replaced lasts on beside its successor, and who holds neither stays out', async () => {
    await add('turning', { method: 'join-token' })
    const old = await Identity.generate()
    const token = await mint('turning')
    const host = {
      edge: edge.url,
      cluster: 'turning',
      replica: 'pod-1',
      joinToken: async () => token,
      fetch,
      now: Date.now,
    }
    const sessions = new Sessions(host, old)
    await sessions.renew(soon())
    const next = await Identity.generate()
    await sessions.announce(soon(), next.publicJwk)
    sessions.use(next)
    await sessions.connection(soon())
    assert.equal((await new Knocker(edge.url, 'turning').session(old)).status, 200)
    const { keys } = (await admin('GET', 'clusters/turning')) as { keys: { thumbprint: string; until?: string }[] }
    assert.deepEqual(
      keys.map(({ thumbprint, until }) => [thumbprint, until !== undefined]),
      [
        [old.thumbprint, true],
        [next.thumbprint, false],
      ],
    )
    const stranger = await Identity.generate()
    sessions.use(stranger)
    await assert.rejects(
      sessions.renew(soon()),
      (error) => error instanceof JoinError && error.reason === 'not_admitted' && error.retryAfterMs === 10_000,
    )
  })

  test('revoking a cluster closes its links at once and keeps it out; adding it anew takes no old session', async () => {
    await add('gone', { method: 'join-token' })
    const knocker = new Knocker(edge.url, 'gone')
    const me = await Identity.generate()
    await knocker.join(me, await mint('gone'))
    const session = String((await knocker.session(me)).body['token'])
    const link = await ScriptedUplink.connect(edge, 'gone', me)
    const asked = Date.now()
    await admin('POST', 'clusters/gone/revoke')
    assert.equal((await link.ended()).code, 4403)
    const took = Date.now() - asked
    console.log(`the links of a revoked cluster are closed after ${took} ms`)
    assert.ok(took < 15_000, `${took} ms`)
    await refused(await knocker.connect(me, session), me, 'connect', 'not_admitted')
    await refused(await knocker.session(me), me, 'session', 'not_admitted')
    const response = await edge.admin('POST', '/admin/v1/clusters/gone/token', {})
    assert.equal(response.status, 409)
    await response.body?.cancel()
    await admin('DELETE', 'clusters/gone')
    await add('gone', { method: 'join-token' })
    await knocker.join(me, await mint('gone'))
    const before = await edge.settled()
    assert.equal((await knocker.connect(me, session)).reason, 'not_admitted')
    const isDeleted = (event: AuditEvent): boolean => String(extraOf(event)['detail']).includes('deleted')
    for (const deadline = Date.now() + 30_000; !edge.audit().slice(before).some(isDeleted); await sleep(50))
      assert.ok(Date.now() < deadline, 'the audit trail does not say why')
  })

  test('while its issuer is away a cluster is told to try again, and gets in when it is back', async () => {
    const late = await startIssuer()
    await add('slow', { method: 'kubernetes-oidc', issuer: late.url })
    const token = await late.token([`${edge.url}/clusters/slow`], { sub: UPLINK, ...POD })
    const knocker = new Knocker(edge.url, 'slow')
    const me = await Identity.generate()
    late.away = true
    const reply = await knocker.session(me, token)
    assert.deepEqual([reply.status, reply.reason], [503, 'unavailable'])
    late.away = false
    await sleep(2_100)
    assert.equal((await knocker.session(me, token)).status, 200)
    await late.close()
  })

  test('nothing of all this registered anything, and no credential was printed', async () => {
    for (const id of ['east', 'west', 'late']) assert.deepEqual(await linksOf(id), [], id)
    assert.ok(!edge.audit().some((event) => methodOf(event) === 'link.registered'))
    const printed = edge.lines().join('\n')
    assert.ok(secrets.length > 20)
    for (const secret of secrets) assert.ok(!printed.includes(secret.slice(-40)), 'a credential was printed')
  })
})

const methodOf = (event: AuditEvent): string | undefined => (event['target'] as Record<string, string>)['method']
const extraOf = (event: AuditEvent | undefined): Record<string, unknown> =>
  (event?.['metadata'] as { extra: Record<string, unknown> } | undefined)?.extra ?? {}
const keyOf = (event: AuditEvent): unknown => extraOf(event)['key']
