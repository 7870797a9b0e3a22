// Login in a browser: authorization code with PKCE, called back on a loopback port that only this login knows (RFC 8252).
// A callback counts only with this login's state and, where the provider sends it, its issuer (RFC 9207); others are turned away.

import { once } from 'node:events'
import { createServer } from 'node:http'
import * as oauth from 'oauth4webapi'
import type { Login } from './credentials.ts'
import { Failure } from './failure.ts'
import { toLogin } from './grant.ts'
import type { Io } from './io.ts'
import { type Provider, attempt, serverOptions } from './provider.ts'

const patience = 5 * 60_000

/** Shows the provider's login page and waits, five minutes at most, until the person is through. */
export async function loginInBrowser(provider: Provider, io: Io): Promise<Login> {
  const { server, client, resource, scope } = provider
  if (server.authorization_endpoint === undefined) {
    throw new Failure(`${server.issuer} has no login page`, 'try `waggle login --device`')
  }
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const listener = await listen(state)
  try {
    const url = new URL(server.authorization_endpoint)
    const parameters = {
      response_type: 'code',
      client_id: client.client_id,
      redirect_uri: listener.redirectUri,
      scope,
      resource,
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      // Providers grant offline access only to those who are asked for it (OpenID Connect Core §11).
      ...(scope.split(' ').includes('offline_access') && { prompt: 'consent' }),
    }
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
    io.err(`Log in at:\n\n  ${url.href}\n`)
    io.open?.(url.href)
    const answer = await listener.answer
    return await attempt('the login failed', async () => {
      const callback = oauth.validateAuthResponse(server, client, answer, state)
      const response = await oauth.authorizationCodeGrantRequest(
        server,
        client,
        oauth.None(),
        callback,
        listener.redirectUri,
        verifier,
        { ...serverOptions(server), additionalParameters: { resource } },
      )
      return toLogin(provider, await oauth.processAuthorizationCodeResponse(server, client, response))
    })
  } finally {
    listener.close()
  }
}

interface Listener {
  redirectUri: string
  /** The parameters of the one callback that carries the state. */
  answer: Promise<URLSearchParams>
  close(): void
}

async function listen(state: string): Promise<Listener> {
  const server = createServer({ requestTimeout: 10_000, maxHeaderSize: 16_384 })
  const answer = new Promise<URLSearchParams>((resolve, reject) => {
    server.on('request', (request, response) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
      const ours = request.method === 'GET' && pathname === '/callback' && searchParams.get('state') === state
      const text = ours ? 'You can close this page and go back to the terminal.' : 'This is not a login in progress.'
      response.writeHead(ours ? 200 : 404, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' })
      response.end(`${text}\n`, () => ours && resolve(searchParams))
    })
    setTimeout(() => {
      reject(new Failure('nobody logged in within five minutes', 'try again, or `waggle login --device`'))
    }, patience).unref()
  })
  // The rejection may come when nobody waits any more.
  answer.catch(() => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0
  const close = (): void => {
    server.close()
    server.closeAllConnections()
  }
  return { redirectUri: `http://127.0.0.1:${port}/callback`, answer, close }
}
