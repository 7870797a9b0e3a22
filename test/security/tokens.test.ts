// What a token proves, and for how long: keys of one configuration never serve another, tokens of other purposes open
// nothing, and an identity provider that is away is not the caller's fault.

import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { CryptoKey, JWTPayload } from 'jose'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { TestEdge } from '../edge.ts'
import { startIssuer } from '../issuer.ts'
import { listen } from '../peers/listen.ts'
import type { Listening } from '../peers/listen.ts'
import { entry, oidc, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange } from '../peers/wire.ts'

type Spec = Readonly<Record<string, unknown>>

const oidcAuth = (name: string): Spec => ({ incomingAuth: { type: 'oidc', oidcConfigRef: { name } } })

describe('keys', () => {
  let edge: TestEdge
  let backend: Recorder
  let impostor: Listening
  let key: CryptoKey
  let published = ['first']

  before(async () => {
    backend = await startRecorder()
    const pair = await generateKeyPair('ES256')
    key = pair.privateKey
    const jwk = { ...(await exportJWK(pair.publicKey)), alg: 'ES256', use: 'sig' }
    impostor = await listen((_request, response) => {
      const keys = published.map((kid) => ({ ...jwk, kid }))
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ keys }))
    })
    edge = await startEdge()
    await edge.apply([
      entry('backend', backend.url),
      // The same issuer, but its keys come from elsewhere: one namespace's mistake, or its intent.
      oidc('impostor', edge.issuer.url, { jwksUrl: `${impostor.url}/jwks` }),
      oidc('honest', edge.issuer.url, {}, { 'waggle.dev/clock-skew': '5s' }),
      virtual('theirs', ['backend'], oidcAuth('impostor')),
      virtual('ours', ['backend'], oidcAuth('honest')),
    ])
  })

  after(async () => {
    await edge?.close()
    await impostor?.close()
    await backend?.close()
  })

  const forge = (audience: string, claims: JWTPayload = {}): Promise<string> =>
    new SignJWT({ sub: 'mallory', ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: published.at(-1) ?? '' })
      .setIssuer(edge.issuer.url)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime('10m')
      .sign(key)

  test('keys that one configuration names do not open an endpoint of another with the same issuer', async () => {
    const theirs = edge.endpoint('theirs')
    const own = await exchange(theirs, { method: 'tools/list', token: await forge(theirs) })
    assert.equal(own.status, 200, own.body)
    const ours = edge.endpoint('ours')
    const response = await exchange(ours, { method: 'tools/list', token: await forge(ours) })
    assert.equal(response.status, 401, response.body)
  })

  test('nor the admin API', async () => {
    // Unknown keys are looked for again once the cooldown is over, and what another isolate has just fetched is believed.
    await sleep(10_500)
    published = ['first', 'second']
    const theirs = edge.endpoint('theirs')
    const own = await exchange(theirs, { method: 'tools/list', token: await forge(theirs) })
    assert.equal(own.status, 200, own.body)
    const token = await forge(`${edge.url}/admin`, { scope: 'waggle:admin' })
    const response = await fetch(`${edge.url}/admin/v1/resources`, { headers: { authorization: `Bearer ${token}` } })
    await response.body?.cancel()
    assert.equal(response.status, 401)
  })
})

describe('introspection', () => {
  let edge: TestEdge
  let backend: Recorder
  let server: Listening
  let mode: 'answer' | 'reset' | 'garbage' | 'refresh token' = 'answer'
  let asked = 0

  before(async () => {
    backend = await startRecorder()
    edge = await startEdge()
    server = await listen((request, response) => {
      asked += 1
      request.resume()
      if (mode === 'reset') {
        response.socket?.resetAndDestroy()
        return
      }
      response.writeHead(200, { 'content-type': 'application/json' })
      if (mode === 'garbage') {
        response.end('<html>')
        return
      }
      const type = mode === 'refresh token' ? { token_type: 'refresh_token', typ: 'Refresh' } : { token_type: 'Bearer' }
      const answer = { active: true, sub: 'ada', iss: edge.issuer.url, aud: edge.endpoint('opaque'), ...type }
      response.end(JSON.stringify(answer))
    })
    await edge.secret('introspection', { secret: 's' })
    await edge.apply([
      entry('backend', backend.url),
      oidc('opaque', edge.issuer.url, {
        introspectionUrl: `${server.url}/introspect`,
        clientId: 'edge',
        clientSecretRef: { name: 'introspection', key: 'secret' },
      }),
      virtual('opaque', ['backend'], oidcAuth('opaque')),
    ])
  })

  after(async () => {
    await edge?.close()
    await server?.close()
    await backend?.close()
  })

  const list = (token: string) => exchange(edge.endpoint('opaque'), { method: 'tools/list', token })

  test('a provider that breaks is answered with 503, not by calling the token invalid', async () => {
    for (const one of ['reset', 'garbage'] as const) {
      mode = one
      const response = await list(`token-${one}`)
      assert.equal(response.status, 503, `${one}: ${response.status} ${response.body}`)
    }
    mode = 'answer'
    assert.equal((await list('token-reset')).status, 200)
  })

  test('a refresh token is no access token', async () => {
    mode = 'refresh token'
    assert.equal((await list('a-refresh-token')).status, 401)
    mode = 'answer'
  })

  test('invented tokens do not become a flood at the provider', async () => {
    const before = asked
    await Promise.all(
      Array.from({ length: 200 }, async (_, index) => {
        const response = await fetch(edge.endpoint('opaque'), {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer x${index}` },
          body: '{}',
        })
        await response.body?.cancel()
      }),
    )
    assert.ok(asked - before <= 64, `${asked - before} of 200 invented tokens were sent to the provider`)
  })
})

describe('a flood of tokens', () => {
  test('an issuer without keys is asked a few times, however many tokens name it', async () => {
    const edge = await startEdge()
    const backend = await startRecorder()
    const away = await startIssuer()
    try {
      await edge.apply([
        entry('backend', backend.url),
        oidc('own', away.url),
        virtual('own', ['backend'], oidcAuth('own')),
      ])
      away.away = true
      const before = away.fetches.discovery
      const token = await away.token(edge.endpoint('own'))
      await Promise.all(
        Array.from({ length: 100 }, () => exchange(edge.endpoint('own'), { method: 'tools/list', token })),
      )
      for (let turn = 0; turn < 20; turn += 1) await exchange(edge.endpoint('own'), { method: 'tools/list', token })
      const fetched = away.fetches.discovery - before
      assert.ok(fetched <= 24, `${fetched} fetches for 120 unverified tokens`)
    } finally {
      await edge.close()
      await away.close()
      await backend.close()
    }
  })

  test('what nobody has verified costs no memory that lasts', async () => {
    const edge = await startEdge()
    const backend = await startRecorder()
    try {
      const names = Array.from({ length: 24 }, (_, index) => `e${index}`)
      await edge.apply([entry('backend', backend.url), ...names.map((name) => virtual(name, ['backend']))])
      const flood = async (size: number, rounds: number): Promise<void> => {
        for (const name of names) {
          for (let round = 0; round < rounds; round += 1) {
            await Promise.all(
              Array.from({ length: 25 }, async (_, index) => {
                const authorization = `Bearer ${round}.${index}.${'x'.repeat(size)}`
                const response = await fetch(edge.endpoint(name), { method: 'POST', headers: { authorization } })
                await response.body?.cancel()
              }),
            )
          }
        }
      }
      await flood(16, 2)
      const before = await resident(edge.pid)
      await flood(15_000, 16)
      await sleep(500)
      const grown = (await resident(edge.pid)) - before
      assert.ok(grown < 50, `${grown} MB for 144 MB of garbage`)
    } finally {
      await edge.close()
      await backend.close()
    }
  })
})

/** Resident memory of a process in MB. */
async function resident(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024
}
