import assert from 'node:assert/strict'
import { test } from 'node:test'
import { JOIN } from '../../protocol/join.ts'
import { Identity } from './identity.ts'
import { JoinError, type SessionHost, Sessions } from './session.ts'

const NOW = 1_700_000_000_000
const me = await Identity.generate()

interface Asked {
  readonly path: string
  readonly headers: Headers
  readonly body: Record<string, unknown>
  readonly claims: Record<string, unknown>
}

/** An edge that answers as it is told; unsaid, as one does that lets everybody in. `skew`: its clock minus the uplink's. */
function edge(answer: (asked: Asked) => Response | Promise<Response> | undefined = () => undefined, skew = 0) {
  const asked: Asked[] = []
  const clock = { now: NOW }
  const time = (): number => clock.now + skew
  const host: SessionHost = {
    edge: 'https://mcp.example.com',
    cluster: 'prod',
    replica: 'pod-1',
    now: () => clock.now,
    fetch: async (url, init) => {
      const { pathname } = new URL(url)
      const headers = new Headers(init.headers)
      const payload = headers.get('waggle-proof')?.split('.')[1] ?? 'e30'
      const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>
      const one = { path: pathname, headers, body: JSON.parse(String(init.body)) as Record<string, unknown>, claims }
      asked.push(one)
      const own = await answer(one)
      if (own !== undefined) return own
      if (pathname === JOIN.nonce) return Response.json({ nonce: `nonce-${asked.length}`, serverTime: time() })
      if (pathname === JOIN.join) return Response.json({ cluster: 'prod', thumbprint: me.thumbprint })
      return Response.json({ token: `session-${asked.length}`, expires: time() + 600_000, serverTime: time() })
    },
  }
  return { host, asked, clock }
}

const signal = (): AbortSignal => AbortSignal.timeout(30_000)
const refusal = (status: number, reason: string, headers: Record<string, string> = {}): Response =>
  Response.json({ error: { reason, message: 'no' } }, { status, headers })
const paths = (asked: readonly Asked[]): string[] => asked.map(({ path }) => path.slice('/link/v1/'.length))

test('a connection has a session and a proof for it, each with a nonce of its own', async () => {
  const { host, asked } = edge()
  const { url, headers, credential } = await new Sessions(host, me).connection(signal())
  assert.equal(url, 'wss://mcp.example.com/link/v1/connect')
  assert.deepEqual(paths(asked), ['nonce', 'session', 'nonce'])
  assert.equal(headers['authorization'], 'Bearer session-2')
  assert.equal(asked[1]?.claims['nonce'], 'nonce-1')
  const claims = JSON.parse(
    Buffer.from(headers['waggle-proof']?.split('.')[1] ?? '', 'base64url').toString(),
  ) as Record<string, unknown>
  assert.equal(claims['nonce'], 'nonce-3')
  assert.deepEqual([credential.expires, credential.renewAt], [NOW + 600_000, NOW + 400_000])
})

test('a session is used again until it has half a minute left', async () => {
  const { host, asked, clock } = edge()
  const sessions = new Sessions(host, me)
  await sessions.connection(signal())
  clock.now += 569_000
  await sessions.connection(signal())
  assert.equal(paths(asked).filter((path) => path === 'session').length, 1)
  clock.now += 2_000
  await sessions.connection(signal())
  assert.equal(paths(asked).filter((path) => path === 'session').length, 2)
  sessions.forget()
  await sessions.connection(signal())
  assert.equal(paths(asked).filter((path) => path === 'session').length, 3)
})

test('proofs are dated by the edge’s clock, and credentials end by one’s own', async () => {
  for (const skew of [-300_000, 300_000]) {
    const { host, asked } = edge(undefined, skew)
    const credential = await new Sessions(host, me).renew(signal())
    assert.equal(asked[1]?.claims['iat'], (NOW + skew) / 1000)
    assert.equal(credential.expires, NOW + 600_000)
  }
})

test('the token of the ServiceAccount is read anew for every session', async () => {
  let reads = 0
  const { host, asked } = edge()
  const sessions = new Sessions({ ...host, accountToken: async () => `token-${++reads}\n` }, me)
  await sessions.renew(signal())
  await sessions.renew(signal(), 'c-1')
  const sent = asked.filter(({ path }) => path === JOIN.session)
  assert.deepEqual(
    sent.map(({ headers }) => headers.get('authorization')),
    ['Bearer token-1', 'Bearer token-2'],
  )
  assert.deepEqual(sent[1]?.body, { cluster: 'prod', replica: 'pod-1', connection: 'c-1' })
})

test('the join token is shown only to an edge that does not know the key, and only once', async () => {
  let isKnown = false
  const { host, asked } = edge(({ path }) => {
    if (path === JOIN.join) isKnown = true
    return path === JOIN.session && !isKnown ? refusal(403, 'not_admitted') : undefined
  })
  const sessions = new Sessions({ ...host, joinToken: async () => 'join-token\n' }, me)
  await sessions.renew(signal())
  await sessions.renew(signal())
  assert.deepEqual(paths(asked), ['nonce', 'session', 'nonce', 'join', 'nonce', 'session', 'nonce', 'session'])
  assert.deepEqual(asked[3]?.body, { cluster: 'prod', token: 'join-token' })
})

test('an edge that is busy gets no join token, and is left alone as long as it asks', async () => {
  const { host, asked } = edge(({ path }) =>
    path === JOIN.session ? refusal(429, 'too_many', { 'retry-after': '7' }) : undefined,
  )
  const sessions = new Sessions({ ...host, joinToken: async () => 'join-token' }, me)
  await assert.rejects(
    sessions.renew(signal()),
    (error) => error instanceof JoinError && error.reason === 'too_many' && error.retryAfterMs === 7_000,
  )
  assert.ok(!paths(asked).includes('join'))
})

test('what is no edge, too long, a redirect or silence is an edge that cannot be reached', async () => {
  const answers: (() => Response | Promise<Response>)[] = [
    () => new Response('<html>', { status: 200 }),
    () => new Response('x'.repeat(100_000), { status: 200 }),
    () => new Response(null, { status: 302, headers: { location: 'https://elsewhere' } }),
    () => Response.json({ nonce: 1 }),
    () => new Response('bad gateway', { status: 502 }),
    () => Promise.reject(Object.assign(new Error('no'), { code: 'ECONNREFUSED' })),
  ]
  for (const answer of answers) {
    const { host } = edge(answer)
    await assert.rejects(
      new Sessions(host, me).renew(signal()),
      (error) => error instanceof JoinError && error.reason === 'unreachable',
    )
  }
})

test('a wait ends when its caller gives up', async () => {
  const { host } = edge()
  const asked = Promise.withResolvers<void>()
  const silent = {
    ...host,
    fetch: (_: string, { signal }: RequestInit) =>
      new Promise<Response>((_, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('aborted')))
        asked.resolve()
      }),
  }
  const given = new AbortController()
  const waiting = new Sessions(silent, me).renew(given.signal)
  await asked.promise
  given.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
})

test('a key that was announced signs after it is used, and asks for a session of its own', async () => {
  const { host, asked } = edge()
  const next = await Identity.generate()
  const sessions = new Sessions(host, me)
  await sessions.connection(signal())
  await sessions.announce(signal(), next.publicJwk)
  assert.deepEqual(asked.at(-1)?.body['nextKey'], next.publicJwk)
  sessions.use(next)
  const { headers } = await sessions.connection(signal())
  const header = JSON.parse(Buffer.from(headers['waggle-proof']?.split('.')[0] ?? '', 'base64url').toString()) as {
    jwk: unknown
  }
  assert.deepEqual(header.jwk, next.publicJwk)
  assert.equal(paths(asked).filter((path) => path === 'session').length, 3)
})
