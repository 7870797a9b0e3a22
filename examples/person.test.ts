import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { startIdp, type Idp } from './idp.ts'
import { connectAs } from './person.ts'
import { startModern, type ModernServer } from './servers/modern.ts'

// A guard as MCP prescribes it, in front of the incident board: metadata, challenges, and a scope for one tool.
let idp: Idp
let board: ModernServer
let origin = ''
const guard = createServer((request, response) => void answer(request, response))

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = `${origin}/mcp`
  const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`
  if (request.url === '/.well-known/oauth-protected-resource/mcp') {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ resource: url, authorization_servers: [idp.issuer] }))
    return
  }
  const challenge = (status: number, detail: string) => {
    response.writeHead(status, { 'www-authenticate': `Bearer resource_metadata="${metadata}", ${detail}` }).end()
  }
  const keys = createRemoteJWKSet(new URL(`${idp.issuer}/jwks`))
  const token = request.headers.authorization?.slice('Bearer '.length) ?? ''
  const claims = await jwtVerify(token, keys, { issuer: idp.issuer, audience: url }).then(
    (verified) => verified.payload,
    () => undefined,
  )
  if (claims === undefined) return challenge(401, 'scope="mcp:read"')
  let body = ''
  for await (const chunk of request) body += String(chunk)
  if (body.includes('"resolve_incident"') && !String(claims['scope']).includes('mcp:write')) {
    return challenge(403, 'error="insufficient_scope", scope="mcp:read mcp:write"')
  }
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers)) {
    if (/^(accept|content-type|mcp-)/.test(name)) headers.set(name, String(value))
  }
  const relayed = await fetch(board.url, { method: request.method ?? 'GET', headers, ...(body === '' ? {} : { body }) })
  response.writeHead(relayed.status, { 'content-type': relayed.headers.get('content-type') ?? 'text/plain' })
  response.end(await relayed.text())
}

before(async () => {
  idp = await startIdp()
  board = await startModern()
  guard.listen(0, '127.0.0.1')
  await once(guard, 'listening')
  const address = guard.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  origin = `http://127.0.0.1:${address.port}`
})
after(async () => {
  guard.closeAllConnections()
  guard.close()
  await Promise.all([idp.close(), board.close()])
})

test('an SDK client finds the provider, registers itself, logs in, and steps up when challenged', async () => {
  const logins: string[] = []
  const ben = await connectAs({ user: 'ben', url: `${origin}/mcp`, onLogin: (scopes) => logins.push(scopes) })
  assert.equal(ben.client.getProtocolEra(), 'modern')
  assert.ok((await ben.tools()).includes('resolve_incident'))
  const result = await ben.call('resolve_incident', { id: 'INC-101', resolution: 'Rolled back' })
  assert.match(JSON.stringify(result.content), /Rolled back/)
  assert.equal(logins.length, 2)
  assert.match(logins[0] ?? '', /mcp:read/)
  assert.match(logins[1] ?? '', /mcp:write/)
  await ben.client.close()
})
