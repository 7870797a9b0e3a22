// A real OpenID provider for development, tests and the demo: the login page lets you be any demo user with one click, so it
// must never listen anywhere but on loopback. Access tokens are ES256 JWTs whose audience is the resource asked for (RFC 8707).

import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { errors, Provider, type Configuration, type Grant, type KoaContextWithOIDC } from 'oidc-provider'
import { deviceCodePage, deviceConfirmPage, escape, loginPage, page } from './pages.ts'
import { Shelf } from './shelf.ts'
import { demoUsers, type Users } from './users.ts'

export interface IdpOptions {
  /** 0 (the default) takes a free one. */
  port?: number
  host?: string
  /** The issuer, when it is reached under another address than it listens on. */
  publicUrl?: string
  /** Which resource indicators get tokens; others are refused with `invalid_target`. Default: all. */
  audiences?: (resource: string) => boolean
  /** Resources whose tokens are opaque and need introspection (RFC 7662). Default: none. */
  opaque?: (resource: string) => boolean
  users?: Users
  /** Secret of the confidential client `machine`. Default: a random one. */
  machineSecret?: string
  /** Keeps the signing key and self-registered clients across restarts. */
  stateFile?: string
  /** Lifetime of access tokens. Default: one hour. */
  tokenSeconds?: number
  /** Fetches client-id metadata documents. Default: the network, public addresses only. */
  fetch?: (input: string | URL | Request, init?: RequestInit) => Promise<Response>
}

export interface Idp {
  readonly issuer: string
  /** The confidential client for client credentials and introspection. */
  readonly machine: { readonly clientId: string; readonly clientSecret: string }
  close(): Promise<void>
}

const resourceScopes = ['mcp:read', 'mcp:write', 'waggle:admin']
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

/** Starts the provider. Throws what `listen` throws, so a taken port is an `EADDRINUSE`. */
export async function startIdp(options: IdpOptions = {}): Promise<Idp> {
  const users = options.users ?? demoUsers
  const shelf = await Shelf.open(options.stateFile)
  const server = createServer()
  server.listen(options.port ?? 0, options.host ?? '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('idp: no port to listen on')
  const issuer = options.publicUrl ?? `http://127.0.0.1:${address.port}`
  const machine = { clientId: 'machine', clientSecret: options.machineSecret ?? crypto.randomUUID() }

  const provider = new Provider(issuer, configure(options, users, shelf, machine.clientSecret))
  provider.proxy = options.publicUrl !== undefined
  provider.on('server_error', (_context, error) => console.error(`idp: ${error.message}`))
  const hosts = new Set([new URL(issuer).host, `127.0.0.1:${address.port}`, `localhost:${address.port}`])
  const standard = provider.callback()

  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    // One click is a login here, so a page that rebinds its name to loopback must not get that click.
    if (!hosts.has(request.headers.host ?? '')) return send(response, 421, page('Unknown host', ''))
    const url = new URL(request.url ?? '/', issuer)
    if (url.pathname.startsWith('/interaction/')) return interact(provider, users, request, response)
    if (url.pathname === '/') return send(response, 200, page('Waggle demo identity provider', welcome(issuer)))
    if (url.pathname === '/reg' && allowOrigin(request, response)) return undefined
    if (request.method === 'GET' && (url.pathname === '/auth' || url.pathname === '/device')) freshen(request, url)
    return standard(request, response)
  }
  server.on('request', (request, response) => {
    handle(request, response).catch((error: unknown) => {
      console.error(`idp: ${error instanceof Error ? error.message : String(error)}`)
      if (!response.headersSent) send(response, 500, page('That went wrong', ''))
    })
  })

  return {
    issuer,
    machine,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function configure(options: IdpOptions, users: Users, shelf: Shelf, machineSecret: string): Configuration {
  const seconds = options.tokenSeconds ?? 3600
  const month = 30 * 24 * 3600
  const groupsOf = (subject: string) => [...(users[subject]?.groups ?? [])]
  return {
    adapter: (model) => shelf.adapter(model),
    jwks: { keys: [shelf.key] },
    cookies: { keys: [crypto.randomUUID()], names: { session: 'idp', interaction: 'idp_login', resume: 'idp_resume' } },
    scopes: ['openid', 'offline_access', ...resourceScopes],
    claims: { openid: ['sub'], profile: ['name', 'groups'], email: ['email', 'email_verified'] },
    // ES256 is the only key, so it must be the default; `native` lets clients use loopback on any port and schemes of their own.
    clientDefaults: { id_token_signed_response_alg: 'ES256', application_type: 'native' },
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    responseTypes: ['code'],
    clientBasedCORS: () => true,
    clients: [
      {
        client_id: 'waggle-cli',
        client_name: 'Waggle command line',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token', deviceGrant],
        response_types: ['code'],
        redirect_uris: ['127.0.0.1', 'localhost'].flatMap((host) =>
          ['/', '/callback'].map((path) => `http://${host}${path}`),
        ),
      },
      {
        client_id: 'machine',
        client_name: 'Machine',
        client_secret: machineSecret,
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: ['client_credentials'],
        response_types: [],
        redirect_uris: [],
      },
    ],
    findAccount: (_context, id) => {
      const user = users[id]
      if (user === undefined) return undefined
      const claims = {
        sub: id,
        name: user.name,
        groups: groupsOf(id),
        email: `${id}@example.test`,
        email_verified: true,
      }
      return { accountId: id, claims: () => claims }
    },
    extraTokenClaims: (_context, token) =>
      token.kind === 'AccessToken' ? { groups: groupsOf(token.accountId) } : { groups: ['machines'] },
    issueRefreshToken: (_context, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    renderError: (context, out) => {
      context.type = 'html'
      const detail = [out.error, out.error_description].filter((part) => part !== undefined).join(': ')
      context.body = page('That did not work', `<p>${escape(detail)}</p><p>Go back to your client and try again.</p>`)
    },
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    ttl: {
      AccessToken: seconds,
      ClientCredentials: seconds,
      AuthorizationCode: 60,
      DeviceCode: 600,
      Interaction: 3600,
      IdToken: 3600,
      RefreshToken: month,
      Grant: month,
      Session: month,
    },
    ...(options.fetch === undefined ? {} : { fetch: options.fetch }),
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: false },
      pushedAuthorizationRequests: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: (_context, client, token) => token.clientId === client.clientId },
      registration: { enabled: true },
      registrationManagement: { enabled: true },
      clientIdMetadataDocument: { enabled: true, ack: 'draft-02' },
      deviceFlow: {
        enabled: true,
        userCodeInputSource: (context, form, _out, error) => {
          html(context, deviceCodePage(form, error === undefined ? undefined : 'That code is not known (any more).'))
        },
        userCodeConfirmSource: (context, form, client, _device, code) => {
          html(context, deviceConfirmPage(form, client.clientName ?? client.clientId, code))
        },
        successSource: (context) => html(context, page('Done', '<p>You are logged in. You can close this page.</p>')),
      },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context, resource) => {
          if (options.audiences?.(resource) === false) throw new errors.InvalidTarget()
          return {
            audience: resource,
            scope: resourceScopes.join(' '),
            accessTokenTTL: seconds,
            ...(options.opaque?.(resource) === true
              ? { accessTokenFormat: 'opaque' as const }
              : { accessTokenFormat: 'jwt' as const, jwt: { sign: { alg: 'ES256' as const } } }),
          }
        },
      },
    },
  }
}

/** The login page (GET), and the click on one of its users (POST): login and consent in one, narrowed to the user's rights. */
async function interact(provider: Provider, users: Users, request: IncomingMessage, response: ServerResponse) {
  const details = await provider.interactionDetails(request, response).catch(() => undefined)
  if (details === undefined) {
    return send(response, 400, page('This login is over', '<p>Go back to your client and start again.</p>'))
  }
  const { params, uid } = details
  const text = (name: string) => (typeof params[name] === 'string' ? params[name] : '')
  const client = await provider.Client.find(text('client_id'))
  const scopes = text('scope').split(' ').filter(Boolean)
  const resources = [params['resource']].flat().filter((resource) => typeof resource === 'string')
  if (request.method !== 'POST') {
    const name = client?.clientName ?? text('client_id')
    const asked = { client: name, scope: scopes.join(' '), resource: resources.join(', ') }
    return send(response, 200, loginPage(users, { action: `/interaction/${uid}`, ...asked }))
  }

  const id = new URLSearchParams(await body(request)).get('user') ?? ''
  const user = Object.hasOwn(users, id) ? users[id] : undefined
  if (user === undefined || client === undefined) return send(response, 400, page('No such user', ''))
  const grant = new provider.Grant({ accountId: id, clientId: client.clientId })
  narrow(grant, scopes, resources, user.scopes)
  const grantId = await grant.save()
  return provider.interactionFinished(request, response, { login: { accountId: id }, consent: { grantId } })
}

/** Grants what the user may have and rejects the rest, so that the provider neither asks again nor fails. */
function narrow(grant: Grant, asked: string[], resources: string[], allowed: readonly string[]): void {
  const refused = asked.filter((scope) => resourceScopes.includes(scope) && !allowed.includes(scope))
  const granted = asked.filter((scope) => !refused.includes(scope))
  grant.addOIDCScope(granted)
  if (refused.length > 0) grant.rejectOIDCScope(refused)
  for (const resource of resources) {
    grant.addResourceScope(resource, granted)
    if (refused.length > 0) grant.rejectResourceScope(resource, refused)
  }
}

/**
 * Makes an authorization start afresh: without the browser's old session, so that one who was ada a minute ago can be ben
 * now; and with a scope, because clients that found none in the metadata send none.
 */
function freshen(request: IncomingMessage, url: URL): void {
  const cookies = (request.headers.cookie ?? '').split(/;\s*/).filter((cookie) => !/^idp(\.sig)?=/.test(cookie))
  request.headers.cookie = cookies.join('; ')
  if (url.pathname !== '/auth' || url.searchParams.has('scope')) return
  url.searchParams.set('scope', 'openid mcp:read')
  request.url = `${url.pathname}${url.search}`
}

/** Browser clients may register from any origin. True when the request was a preflight and is answered. */
function allowOrigin(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.headers.origin !== undefined) response.setHeader('access-control-allow-origin', request.headers.origin)
  if (request.method !== 'OPTIONS') return false
  response.writeHead(204, {
    'access-control-allow-methods': 'POST',
    'access-control-allow-headers': request.headers['access-control-request-headers'] ?? 'content-type',
  })
  response.end()
  return true
}

async function body(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > 4096) throw new Error('a login form larger than 4 KiB')
  }
  return text
}

function html(context: KoaContextWithOIDC, text: string): void {
  context.type = 'html'
  context.body = text
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
  response.end(text)
}

function welcome(issuer: string): string {
  return `<p>Clients send you here to log in. Metadata: <a href="/.well-known/openid-configuration">${escape(issuer)}/.well-known/openid-configuration</a></p>`
}
