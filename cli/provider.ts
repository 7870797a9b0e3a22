// From an edge to its identity provider: protected resource metadata (RFC 9728), then the provider's own (OIDC, RFC 8414).
// Metadata that names another resource than the one asked for is refused, so no provider gets to issue tokens for somebody else.

import * as oauth from 'oauth4webapi'
import { isLoopback } from './edge.ts'
import { Failure, causeOf } from './failure.ts'
import { printable } from './io.ts'

export interface Provider {
  readonly server: oauth.AuthorizationServer
  readonly client: oauth.Client
  /** The audience of tokens for the admin API (RFC 8707). */
  readonly resource: string
  /** Space-separated. */
  readonly scope: string
}

/** The audience of an edge's admin API. */
export function resourceOf(edge: string): string {
  return `${edge}/admin`
}

/** Finds the provider that issues tokens for the admin API of an edge. */
export async function discover(edge: string, clientId: string): Promise<Provider> {
  const resource = new URL(resourceOf(edge))
  const metadata = await attempt(`${edge} does not say where to log in`, async () => {
    const response = await oauth.resourceDiscoveryRequest(resource, requestOptions(resource))
    return oauth.processResourceDiscoveryResponse(resource, response)
  })
  const [issuer] = metadata.authorization_servers ?? []
  if (issuer === undefined || !URL.canParse(issuer)) {
    throw new Failure(`${edge} names no identity provider`, 'set OIDC_ISSUER (or ADMIN_ISSUER) at the edge')
  }
  const server = await discoverIssuer(issuer)
  const wanted = (metadata.scopes_supported ?? []).filter((scope) => scope !== 'offline_access')
  // Without a refresh token the login would end with the access token, so ask for one where it can be had.
  const offline = server.scopes_supported?.includes('offline_access') ?? false
  return {
    server,
    client: { client_id: clientId },
    resource: metadata.resource,
    scope: [...wanted, ...(offline ? ['offline_access'] : [])].join(' '),
  }
}

/** The metadata of an issuer, by OpenID Connect discovery or else RFC 8414. */
export async function discoverIssuer(issuer: string): Promise<oauth.AuthorizationServer> {
  const url = new URL(issuer)
  return attempt(`the identity provider ${issuer} cannot be used`, async () => {
    const options = requestOptions(url)
    const response = await oauth.discoveryRequest(url, { ...options, algorithm: 'oidc' })
    if (response.status !== 404) return oauth.processDiscoveryResponse(url, response)
    await response.body?.cancel()
    return oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { ...options, algorithm: 'oauth2' }))
  })
}

/** Options of every OAuth request: a deadline, and plain http for this machine only. */
function requestOptions(url: URL) {
  return { signal: () => AbortSignal.timeout(15_000), [oauth.allowInsecureRequests]: isLoopback(url) }
}

/** As `requestOptions`, for requests to endpoints of `server`. */
export function serverOptions(server: oauth.AuthorizationServer) {
  return requestOptions(new URL(server.issuer))
}

/** Runs an OAuth step; what it throws becomes a `Failure` that starts with `what`. */
export async function attempt<T>(what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    if (error instanceof Failure) throw error
    throw new Failure(`${what}: ${printable(reasonOf(error), 500)}`, hintOf(error))
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError) {
    return error.error_description === undefined ? error.error : `${error.error}: ${error.error_description}`
  }
  if (error instanceof oauth.OperationProcessingError && error.code === oauth.JSON_ATTRIBUTE_COMPARISON) {
    return 'its metadata is about another address than the one asked; use the address it calls itself by'
  }
  if (error instanceof oauth.OperationProcessingError && error.code === oauth.RESPONSE_IS_NOT_CONFORM) {
    return error.cause instanceof Response ? `it answers with HTTP ${error.cause.status}` : error.message
  }
  return error instanceof oauth.OperationProcessingError ? error.message : causeOf(error)
}

function hintOf(error: unknown): string | undefined {
  if (!(error instanceof oauth.ResponseBodyError || error instanceof oauth.AuthorizationResponseError)) {
    return 'check the address, and that it is running'
  }
  switch (error.error) {
    case 'invalid_client':
    case 'unauthorized_client':
      return 'register the client at the provider, or name another with --client-id'
    case 'invalid_scope':
    case 'access_denied':
      return 'ask the owner of the provider for the right to administer this edge'
    case 'invalid_target':
      return 'register the admin address of the edge as a resource (audience) at the provider'
    default:
      return undefined
  }
}
