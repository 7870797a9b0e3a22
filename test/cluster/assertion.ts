// Assertions as somebody would make them who has a key, and requests that show one.

import { importJWK, SignJWT } from 'jose'
import type { JWK } from 'jose'
import type { Attempt } from './attempt.ts'
import { call } from './bed/api.ts'
import type { Cluster } from './bed/plan.ts'

export interface Claims {
  readonly issuer: string
  readonly audience: string
  /** For whom it speaks; without, it is for the catalog. */
  readonly user?: { readonly issuer: string; readonly subject: string }
}

export async function assertion(jwk: JWK, { issuer, audience, user }: Claims): Promise<string> {
  const caller = user && { sub_id: { format: 'iss_sub', iss: user.issuer, sub: user.subject } }
  return new SignJWT({ use: user === undefined ? 'catalog' : 'call', ...caller })
    .setProtectedHeader({ alg: 'ES256', typ: 'waggle-assertion+jwt', kid: jwk.kid ?? '' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setIssuedAt()
    .setExpirationTime('50s')
    .sign(await importJWK(jwk, 'ES256'))
}

/** The private key in the first Secret whose name begins so, as only its owner and the cluster's admin can read it. */
export async function keyIn(cluster: Cluster, namespace: string, prefix: string, file: string): Promise<JWK> {
  const path = `/api/v1/namespaces/${namespace}/secrets`
  const { items } = await call<{ items: { metadata: { name: string }; data?: Record<string, string> }[] }>(
    cluster,
    'GET',
    path,
  )
  const text = items.find(({ metadata, data }) => metadata.name.startsWith(prefix) && data?.[file])?.data?.[file]
  if (text === undefined) throw new Error(`no Secret ${prefix} in ${namespace} holds ${file}`)
  return JSON.parse(Buffer.from(text, 'base64').toString()) as JWK
}

const INITIALIZE = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'pod', version: '1' } },
})

/** A call of an MCPServer of the same namespace. */
export function calling(name: string, given?: string): Attempt {
  const types = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const headers = { ...types, ...(given !== undefined && { 'waggle-assertion': given }) }
  return ['POST', `http://mcp-${name}-proxy:8080/mcp`, headers, INITIALIZE]
}

/** A look at its catalog. */
export function reading(name: string, given: string): Attempt {
  return ['GET', `http://mcp-${name}-proxy:9464/catalog`, { 'waggle-assertion': given }]
}
