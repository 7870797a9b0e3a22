// Logs in without a person, for tests and the demo: a scripted browser that follows redirects with its own cookies and clicks
// a user's button, plus the token requests around it. Works with any provider page that has one form per step.

import { createHash, randomBytes } from 'node:crypto'

export interface Tokens {
  access_token: string
  token_type: string
  /** Seconds. */
  expires_in?: number
  scope?: string
  refresh_token?: string
  id_token?: string
}

/** Cookie names to values: what one browser remembers. */
export type Jar = Map<string, string>

const patience = 10_000
const steps = 15

/**
 * Opens an authorization URL, clicks as the user wants, and returns the URL with the code that the client would be called
 * back at (it is not fetched). Also for the `redirectToAuthorization` of an MCP SDK client. Pass the same jar twice to be
 * the same browser twice.
 */
export async function clickThrough(authorizationUrl: string | URL, user: string, jar: Jar = new Map()): Promise<URL> {
  const end = await browse(new URL(authorizationUrl), user, jar)
  if (end instanceof URL) return end
  throw new Error(`login: the provider's pages ended without a redirect to the client:\n${excerpt(end)}`)
}

/** Approves a device login: `verificationUri` is the `verification_uri_complete` of the device response. */
export async function approveDevice(verificationUri: string | URL, user: string): Promise<void> {
  const end = await browse(new URL(verificationUri), user, new Map())
  if (end instanceof URL || !end.includes('You are logged in')) throw new Error(`login: the device was not approved`)
}

/** A whole authorization code login with PKCE. Throws with the provider's error when it refuses. */
export async function userLogin(
  issuer: string,
  options: { user: string; clientId?: string; redirectUri?: string; scope?: string; resource?: string },
): Promise<Tokens> {
  const redirectUri = options.redirectUri ?? 'http://127.0.0.1/callback'
  const clientId = options.clientId ?? 'waggle-cli'
  const resource = options.resource === undefined ? {} : { resource: options.resource }
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(8).toString('base64url')
  const metadata = await discover(issuer)
  const authorization = new URL(metadata.authorization_endpoint)
  authorization.search = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: options.scope ?? 'openid mcp:read',
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...resource,
  }).toString()

  const { searchParams: answer } = await clickThrough(authorization, options.user)
  const code = answer.get('code')
  if (code === null) throw new Error(`login: ${answer.get('error')}: ${answer.get('error_description')}`)
  if (answer.get('state') !== state) throw new Error('login: the answer carries another state')
  return token(metadata.token_endpoint, {
    grant_type: 'authorization_code',
    client_id: clientId,
    redirect_uri: redirectUri,
    code,
    code_verifier: verifier,
    ...resource,
  })
}

/** A client credentials login (RFC 6749 §4.4) with HTTP Basic authentication. */
export async function machineLogin(
  issuer: string,
  options: { clientId: string; clientSecret: string; scope: string; resource: string },
): Promise<Tokens> {
  const metadata = await discover(issuer)
  const basic = Buffer.from(`${encodeURIComponent(options.clientId)}:${encodeURIComponent(options.clientSecret)}`)
  return token(
    metadata.token_endpoint,
    { grant_type: 'client_credentials', scope: options.scope, resource: options.resource },
    { authorization: `Basic ${basic.toString('base64')}` },
  )
}

async function discover(issuer: string): Promise<{ authorization_endpoint: string; token_endpoint: string }> {
  const url = `${issuer}/.well-known/openid-configuration`
  const response = await fetch(url, { signal: AbortSignal.timeout(patience) })
  if (!response.ok) throw new Error(`login: ${url} answered ${response.status}`)
  return (await response.json()) as { authorization_endpoint: string; token_endpoint: string }
}

async function token(url: string, form: Record<string, string>, headers: Record<string, string> = {}): Promise<Tokens> {
  const request = { method: 'POST', headers, body: new URLSearchParams(form), signal: AbortSignal.timeout(patience) }
  const response = await fetch(url, request)
  const answer = (await response.json()) as Tokens & { error?: string; error_description?: string }
  if (!response.ok) throw new Error(`login: ${answer.error}: ${answer.error_description}`)
  return answer
}

/** Walks pages of one origin: the redirect that leaves it, or the text of a page without a form. */
async function browse(start: URL, user: string, jar: Jar): Promise<URL | string> {
  let url = start
  let form: URLSearchParams | undefined
  for (let step = 0; step < steps; step++) {
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { accept: 'text/html', cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form === undefined ? {} : { method: 'POST', body: form }),
      signal: AbortSignal.timeout(patience),
    })
    remember(jar, response.headers.getSetCookie())
    const location = response.headers.get('location')
    if (location !== null) {
      await response.body?.cancel()
      url = new URL(location, url)
      form = undefined
      if (url.origin !== start.origin) return url
      continue
    }
    const page = await response.text()
    if (!response.ok) throw new Error(`login: ${url.pathname} answered ${response.status}:\n${excerpt(page)}`)
    const action = /<form[^>]*\saction="([^"]*)"/.exec(page)?.[1]
    if (action === undefined) return page
    url = new URL(decode(action), url)
    form = fill(page, user)
  }
  throw new Error(`login: no end after ${steps} pages`)
}

/** The form's hidden fields, and the user's button where there are buttons for users. */
function fill(page: string, user: string): URLSearchParams {
  const form = new URLSearchParams()
  for (const [tag] of page.matchAll(/<input[^>]*>/g)) {
    const name = /\sname="([^"]*)"/.exec(tag)?.[1]
    const value = /\svalue="([^"]*)"/.exec(tag)?.[1]
    if (name !== undefined && value !== undefined) form.set(name, decode(value))
  }
  if (page.includes('<button name="user"')) {
    if (!page.includes(`<button name="user" value="${user}"`)) throw new Error(`login: there is no user ${user}`)
    form.set('user', user)
  }
  return form
}

function remember(jar: Jar, lines: string[]): void {
  for (const line of lines) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    if (name === undefined) continue
    if (value === undefined || value === '' || /expires=Thu, 01 Jan 1970/i.test(line)) jar.delete(name)
    else jar.set(name, value)
  }
}

function decode(text: string): string {
  return text
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replaceAll('&quot;', '"')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&')
}

function excerpt(page: string): string {
  const text = page.replace(/<style[\s\S]*?<\/style>/g, '').replace(/<[^>]+>/g, ' ')
  return text.replace(/\s+/g, ' ').trim().slice(0, 300)
}
