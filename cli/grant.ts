// Tokens as a provider granted them, and how a stored login is renewed or given back.

import * as oauth from 'oauth4webapi'
import type { Login } from './credentials.ts'
import { type Provider, attempt, discoverIssuer, serverOptions } from './provider.ts'

/** The login that a token response stands for; a response without a refresh token keeps the former one. */
export function toLogin(
  { server, client }: Pick<Provider, 'server' | 'client'>,
  response: oauth.TokenEndpointResponse,
  former?: Login,
): Login {
  const refreshToken = response.refresh_token ?? former?.refreshToken
  return {
    issuer: server.issuer,
    clientId: client.client_id,
    accessToken: response.access_token,
    ...(refreshToken !== undefined && { refreshToken }),
    ...(response.expires_in !== undefined && { expiresAt: Date.now() + response.expires_in * 1000 }),
  }
}

/** Exchanges the refresh token for a new login at the same audience. Throws a `Failure` when the provider refuses. */
export async function renew(login: Login, refreshToken: string, resource: string): Promise<Login> {
  const server = await discoverIssuer(login.issuer)
  const client = { client_id: login.clientId }
  return attempt('the login cannot be renewed', async () => {
    const response = await oauth.refreshTokenGrantRequest(server, client, oauth.None(), refreshToken, {
      ...serverOptions(server),
      additionalParameters: { resource },
    })
    return toLogin({ server, client }, await oauth.processRefreshTokenResponse(server, client, response), login)
  })
}

/** Tells the provider to forget the login (RFC 7009), if it has a place to tell it. */
export async function giveBack(login: Login): Promise<void> {
  const server = await discoverIssuer(login.issuer)
  if (server.revocation_endpoint === undefined) return
  const token = login.refreshToken ?? login.accessToken
  await attempt('the provider did not revoke the login', async () => {
    const client = { client_id: login.clientId }
    const response = await oauth.revocationRequest(server, client, oauth.None(), token, serverOptions(server))
    await oauth.processRevocationResponse(response)
  })
}
