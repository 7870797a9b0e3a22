// What a token proves, and for how long: keys of one configuration never serve another, tokens of other purposes open
// nothing, and an identity provider that is away is not the caller's fault.

import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import type { CryptoKey, JWTPayload } from 'jose'
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Guard } from '../../gateway/auth/guard.ts'
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

  test('what nobody has verified is not kept', async () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const guard = new Guard(
      {
        issuers: [],
        audience: 'https://edge/x',
        scopes: [],
        resource: 'https://edge/x',
        metadataUrl: 'https://edge/m',
      },
      () => 0,
    )
    const heap = (): number => {
      collect()
      return process.memoryUsage().heapUsed / 1024 / 1024
    }
    const before = heap()
    for (let index = 0; index < 1_000; index += 1) {
      const token = `${index}.${randomBytes(6_000).toString('hex')}.x`
      await assert.rejects(guard.enter({ authorization: `Bearer ${token}` }, () => false))
    }
    const grown = heap() - before
    assert.ok(grown < 4, `${grown} MB of 12 MB of garbage are kept`)
    assert.ok(guard.settings.scopes.length === 0)
  })

  test('an answer without end from an issuer is not read to the end', async () => {
    const edge = await startEdge()
    const backend = await startRecorder()
    let written = 0
    const endless = await listen((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const more = (): void => {
        while (!response.destroyed) {
          written += 1 << 16
          if (!response.write(' '.repeat(1 << 16))) {
            response.once('drain', more)
            return
          }
        }
      }
      more()
    })
    try {
      await edge.apply([
        entry('backend', backend.url),
        oidc('endless', edge.issuer.url, { jwksUrl: `${endless.url}/jwks` }),
        virtual('endless', ['backend'], oidcAuth('endless')),
      ])
      const url = edge.endpoint('endless')
      await exchange(url, { method: 'tools/list', token: await edge.token(url) })
      assert.ok(written < 32 * 1024 * 1024, `${Math.round(written / 1024 / 1024)} MB were read`)
    } finally {
      await edge.close()
      await backend.close()
      await endless.close()
    }
  })
})
