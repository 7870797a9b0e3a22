import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { startIdp, type Idp } from './idp.ts'
import { approveDevice, clickThrough, machineLogin, userLogin } from './login.ts'

const resource = 'https://edge.example/demo/tools/mcp'
const admin = 'https://edge.example/admin'
const opaque = 'https://edge.example/opaque/mcp'
const documentUrl = 'https://client.example/oauth.json'

describe('the local identity provider', () => {
  let idp: Idp

  before(async () => {
    idp = await startIdp({
      audiences: (url) => url.startsWith('https://edge.example/'),
      opaque: (url) => url === opaque,
      fetch: async (input) => {
        const url = input instanceof Request ? input.url : String(input)
        if (url !== documentUrl) return new Response(null, { status: 404 })
        return Response.json({
          client_id: documentUrl,
          client_name: 'Client by document',
          redirect_uris: ['http://127.0.0.1/callback'],
          token_endpoint_auth_method: 'none',
          grant_types: ['authorization_code', 'refresh_token'],
          response_types: ['code'],
        })
      },
    })
  })
  after(() => idp.close())

  const claims = async (token: string, audience = resource) => {
    const keys = createRemoteJWKSet(new URL(`${idp.issuer}/jwks`))
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      issuer: idp.issuer,
      audience,
      algorithms: ['ES256'],
    })
    assert.equal(protectedHeader.typ, 'at+jwt')
    return payload
  }
  const post = async (path: string, form: Record<string, string>) => {
    const response = await fetch(idp.issuer + path, { method: 'POST', body: new URLSearchParams(form) })
    return { status: response.status, body: (await response.json()) as Record<string, string> }
  }

  test('a click on a user gives a token for the resource, with groups, client and scope', async () => {
    const tokens = await userLogin(idp.issuer, { user: 'ben', scope: 'openid mcp:read', resource })
    const token = await claims(tokens.access_token)
    assert.equal(token.sub, 'ben')
    assert.deepEqual(token['groups'], ['engineers'])
    assert.equal(token['client_id'], 'waggle-cli')
    assert.equal(token['scope'], 'mcp:read')
    assert.equal(Number(token.exp) - Number(token.iat), 3600)
  })

  test('only ada gets the admin scope; a request by others is narrowed', async () => {
    const scope = 'mcp:read mcp:write waggle:admin'
    const scopeOf = async (user: string) => {
      const { access_token } = await userLogin(idp.issuer, { user, scope, resource: admin })
      return (await claims(access_token, admin))['scope']
    }
    assert.equal(await scopeOf('ada'), 'mcp:read mcp:write waggle:admin')
    assert.equal(await scopeOf('cleo'), 'mcp:read mcp:write')
  })

  test('a refused resource is invalid_target', async () => {
    const login = userLogin(idp.issuer, { user: 'ben', resource: 'https://elsewhere.example/mcp' })
    await assert.rejects(login, /invalid_target/)
  })

  test('a loopback redirect works on any port', async () => {
    const tokens = await userLogin(idp.issuer, {
      user: 'ben',
      redirectUri: 'http://127.0.0.1:45671/callback',
      resource,
    })
    assert.ok(tokens.access_token)
  })

  test('a refresh token gives the next access token', async () => {
    const first = await userLogin(idp.issuer, { user: 'cleo', resource })
    const { status, body } = await post('/token', {
      grant_type: 'refresh_token',
      client_id: 'waggle-cli',
      refresh_token: first.refresh_token ?? '',
    })
    assert.equal(status, 200)
    assert.equal((await claims(body['access_token'] ?? '')).sub, 'cleo')
  })

  test('a device logs in with a code', async () => {
    const { body: device } = await post('/device/auth', {
      client_id: 'waggle-cli',
      scope: 'mcp:read waggle:admin',
      resource: admin,
    })
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      client_id: 'waggle-cli',
      device_code: device['device_code'] ?? '',
    }
    assert.equal((await post('/token', form)).body['error'], 'authorization_pending')
    await approveDevice(device['verification_uri_complete'] ?? '', 'ada')
    const { body } = await post('/token', form)
    const token = await claims(body['access_token'] ?? '', admin)
    assert.equal(token.sub, 'ada')
    assert.equal(token['scope'], 'mcp:read waggle:admin')
  })

  test('a machine logs in with its secret, and not without', async () => {
    const options = { ...idp.machine, scope: 'waggle:admin', resource: admin }
    const token = await claims((await machineLogin(idp.issuer, options)).access_token, admin)
    assert.equal(token['client_id'], 'machine')
    assert.equal(token['scope'], 'waggle:admin')
    await assert.rejects(machineLogin(idp.issuer, { ...options, clientSecret: 'wrong' }), /invalid_client/)
  })

  test('a browser that was ada a minute ago is asked again who it is', async () => {
    const verifier = 'x'.repeat(43)
    const form = { client_id: 'waggle-cli', redirect_uri: 'http://127.0.0.1/callback' }
    const url = new URL(`${idp.issuer}/auth`)
    url.search = new URLSearchParams({
      ...form,
      resource,
      response_type: 'code',
      scope: 'mcp:read',
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    }).toString()
    const jar = new Map()
    for (const user of ['ada', 'ben']) {
      const code = (await clickThrough(url, user, jar)).searchParams.get('code') ?? ''
      const { body } = await post('/token', {
        ...form,
        grant_type: 'authorization_code',
        code,
        code_verifier: verifier,
      })
      assert.equal((await claims(body['access_token'] ?? '')).sub, user)
    }
  })

  test('a client registers itself, also from a browser, and its scope list does not limit later steps up', async () => {
    const response = await fetch(`${idp.issuer}/reg`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: 'http://localhost:6274' },
      body: JSON.stringify({
        client_name: 'Inspector',
        redirect_uris: ['http://localhost:6274/oauth/callback', 'cursor://anysphere.cursor-mcp/oauth/callback'],
        token_endpoint_auth_method: 'none',
        scope: 'mcp:read',
      }),
    })
    assert.equal(response.status, 201)
    assert.equal(response.headers.get('access-control-allow-origin'), 'http://localhost:6274')
    const { client_id: clientId } = (await response.json()) as { client_id: string }
    const redirectUri = 'cursor://anysphere.cursor-mcp/oauth/callback'
    const tokens = await userLogin(idp.issuer, { user: 'ben', clientId, redirectUri, scope: 'mcp:write', resource })
    assert.equal((await claims(tokens.access_token))['scope'], 'mcp:write')
  })

  test('a client may be a metadata document', async () => {
    const tokens = await userLogin(idp.issuer, { user: 'ben', clientId: documentUrl, resource })
    assert.equal((await claims(tokens.access_token))['client_id'], documentUrl)
  })

  test('opaque tokens can be introspected and revoked', async () => {
    const { access_token: token } = await userLogin(idp.issuer, { user: 'ben', resource: opaque })
    assert.equal(token.split('.').length, 1)
    const introspect = async () => {
      const basic = Buffer.from(`${idp.machine.clientId}:${idp.machine.clientSecret}`).toString('base64')
      const response = await fetch(`${idp.issuer}/token/introspection`, {
        method: 'POST',
        headers: { authorization: `Basic ${basic}` },
        body: new URLSearchParams({ token }),
      })
      return (await response.json()) as Record<string, unknown>
    }
    const answer = await introspect()
    assert.equal(answer['active'], true)
    assert.equal(answer['aud'], opaque)
    assert.deepEqual(answer['groups'], ['engineers'])
    await fetch(`${idp.issuer}/token/revocation`, {
      method: 'POST',
      body: new URLSearchParams({ token, client_id: 'waggle-cli' }),
    })
    assert.equal((await introspect())['active'], false)
  })

  test('a page that rebinds its name to loopback is turned away', async () => {
    const status = await new Promise((resolve, reject) => {
      const outgoing = request(`${idp.issuer}/auth`, { headers: { host: 'evil.example' } }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      outgoing.on('error', reject)
      outgoing.end()
    })
    assert.equal(status, 421)
  })
})

test('with a state file the signing key and registered clients survive a restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-idp-'))
  try {
    const stateFile = join(folder, 'idp.json')
    const first = await startIdp({ stateFile })
    const keys = await (await fetch(`${first.issuer}/jwks`)).text()
    const response = await fetch(`${first.issuer}/reg`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ redirect_uris: ['http://127.0.0.1/cb'], token_endpoint_auth_method: 'none' }),
    })
    const { client_id: clientId } = (await response.json()) as { client_id: string }
    await first.close()

    const second = await startIdp({ stateFile })
    assert.equal(await (await fetch(`${second.issuer}/jwks`)).text(), keys)
    const redirectUri = 'http://127.0.0.1:7/cb'
    const tokens = await userLogin(second.issuer, { user: 'ben', clientId, redirectUri, resource })
    assert.ok(tokens.access_token)
    await second.close()
  } finally {
    rmSync(folder, { recursive: true })
  }
})
