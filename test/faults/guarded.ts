// One edge with a virtual server for every way of guarding one, for the tests of who gets in and what they may do.

import type { JWTPayload } from 'jose'
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEdge } from '../edge.ts'
import type { AuditEvent, TestEdge } from '../edge.ts'
import { startIssuer } from '../issuer.ts'
import type { Issuer } from '../issuer.ts'
import { entry, oidc, policy, virtual } from '../peers/manifests.ts'
import { startRecorder } from '../peers/recorder.ts'
import type { Recorder } from '../peers/recorder.ts'
import { exchange } from '../peers/wire.ts'
import type { Exchange } from '../peers/wire.ts'

export interface Guarded {
  readonly edge: TestEdge
  /** A second issuer, trusted by the virtual server `two` only. */
  readonly other: Issuer
  readonly backend: Recorder
  /** Endpoint of the virtual server that the edge's default issuer guards. */
  readonly guarded: string
  /** A token that `assertNoLeak` looks for at the backend. */
  token(audience: string, claims?: JWTPayload): Promise<string>
  /** As `token`, understood by introspection only. */
  opaque(audience: string): string
  /** Fails when a token made here, or its signature, reached the backend in any header or body. */
  assertNoLeak(): void
  close(): Promise<void>
}

const tool = (name: string): string => `{"name":"${name}","inputSchema":{"type":"object"}}`

export async function startGuarded(): Promise<Guarded> {
  const backend = await startRecorder({ era: 'both', tools: ['echo', 'read', 'write', 'drop'].map(tool) })
  const other = await startIssuer()
  const release = async (): Promise<void> => {
    await Promise.all([other.close(), backend.close()])
  }
  const edge = await startEdge().catch(async (cause: unknown) => {
    await release()
    throw cause
  })
  const tokens: string[] = []
  const world: Guarded = {
    edge,
    other,
    backend,
    guarded: edge.endpoint('guarded'),
    token: async (audience, claims) => {
      const made = await edge.token(audience, claims)
      tokens.push(made)
      return made
    },
    opaque: (audience) => {
      const made = edge.issuer.opaque(audience)
      tokens.push(made)
      return made
    },
    assertNoLeak: () => {
      assert.ok(tokens.length > 5)
      for (const { headers, body, path } of backend.received) {
        const all = `${JSON.stringify(headers)}${body}${path}`
        for (const secret of tokens) assert.ok(!all.includes(secret.split('.').at(-1) ?? secret))
      }
    },
    close: async () => {
      await edge.close()
      await release()
    },
  }
  await configure(world).catch(async (cause: unknown) => {
    await world.close()
    throw cause
  })
  return world
}

async function configure({ edge, other, backend, guarded }: Guarded): Promise<void> {
  const { issuer } = edge
  await edge.secret('introspection', { secret: issuer.clientSecret })
  const introspection = {
    introspectionUrl: `${issuer.url}/introspect`,
    clientId: issuer.clientId,
    clientSecretRef: { name: 'introspection', key: 'secret' },
  }
  const incoming = (name: string, more: object = {}): object => ({
    incomingAuth: { type: 'oidc', oidcConfigRef: { name, ...more } },
  })
  await edge.apply([
    entry('backend', backend.url),
    oidc('first', issuer.url),
    oidc('second', other.url),
    oidc('opaque', issuer.url, introspection),
    oidc('skewed', issuer.url, {}, { 'waggle.dev/clock-skew': '0s' }),
    oidc('rsa-only', issuer.url, {}, { 'waggle.dev/algorithms': 'RS256' }),
    virtual('guarded', ['backend']),
    virtual('neighbour', ['backend']),
    virtual('scoped', ['backend'], { ...incoming('first', { scopes: ['mcp:read', 'mcp:use'] }) }),
    virtual('named', ['backend'], { ...incoming('first', { audience: 'urn:example:tools' }) }),
    virtual('opaque', ['backend'], { ...incoming('opaque') }),
    virtual('skewed', ['backend'], { ...incoming('skewed') }),
    virtual('rsa', ['backend'], { ...incoming('rsa-only') }),
    virtual('two', ['backend'], { ...incoming('first') }, { 'waggle.dev/additional-oidc-configs': 'second' }),
    virtual('stepped', ['backend'], { ...incoming('first', { scopes: ['mcp:read'] }) }),
    virtual('open', ['backend'], { incomingAuth: { type: 'anonymous' } }),
    policy('stepped', 'stepped', [
      { tools: ['write', 'drop'], scopes: ['mcp:write'] },
      { tools: ['drop'], scopes: ['mcp:admin'] },
      { tools: ['read'], groups: ['readers'] },
    ]),
  ])
  await edge.lists(guarded, ['echo'])
}

/** Calls a tool as a modern client. */
export function call(endpoint: string, token: string | undefined, name = 'echo'): Promise<Exchange> {
  return exchange(endpoint, { method: 'tools/call', params: { name, arguments: {} }, token })
}

/** The parameters of a `WWW-Authenticate: Bearer` challenge. */
export function challenge(response: Exchange): Record<string, string> {
  const header = response.headers.get('www-authenticate') ?? ''
  assert.match(header, /^Bearer /)
  return Object.fromEntries([...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]))
}

/** Asserts a 401 that says where to get a token; returns its challenge. */
export function refused(response: Exchange, endpoint: string): Record<string, string> {
  assert.equal(response.status, 401, response.body)
  const { origin, pathname } = new URL(endpoint)
  const asked = challenge(response)
  assert.equal(asked['resource_metadata'], `${origin}/.well-known/oauth-protected-resource${pathname}`)
  return asked
}

/** Runs `action`, which causes at least one audit event, and returns all that it caused. */
export async function audited(edge: TestEdge, action: () => Promise<unknown>): Promise<AuditEvent[]> {
  const before = await edge.settled()
  await action()
  for (const deadline = Date.now() + 30_000; edge.audit().length === before; await sleep(50))
    assert.ok(Date.now() < deadline, 'no audit event came')
  await edge.settled()
  return edge.audit().slice(before)
}
