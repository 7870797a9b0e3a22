// Which hosts and browser origins may talk to the edge: DNS rebinding and foreign pages are refused (MCP, basic/transports,
// security). Requests without an Origin do not come from a page.

import { Fault } from '../protocol/fault.ts'
import type { Env } from './env.ts'

interface Allowed {
  readonly hosts: ReadonlySet<string>
  readonly origins: ReadonlySet<string>
}

let known: { readonly env: Env; readonly allowed: Allowed } | undefined

/** The refusal of a request that a foreign host name or page caused; undefined for all others. */
export function foreign(headers: Headers, env: Env): Fault | undefined {
  const { hosts, origins } = allowed(env)
  const host = headers.get('host')?.toLowerCase()
  if (host !== undefined && !hosts.has(host))
    return new Fault('forbidden', 'This host name is not served here.', { detail: 'host' })
  const origin = headers.get('origin')
  if (origin !== null && !origins.has(origin))
    return new Fault('forbidden', 'This origin may not call this endpoint.', { detail: 'origin' })
  return undefined
}

/** CORS headers for a page of an allowed origin. */
export function corsHeaders(headers: Headers, env: Env): Record<string, string> | undefined {
  const origin = headers.get('origin')
  if (origin === null || !allowed(env).origins.has(origin)) return undefined
  return {
    'access-control-allow-origin': origin,
    'access-control-allow-methods': 'GET, POST, DELETE, OPTIONS',
    'access-control-allow-headers': headers.get('access-control-request-headers') ?? 'authorization, content-type',
    'access-control-expose-headers': 'mcp-session-id, www-authenticate, retry-after',
    'access-control-max-age': '600',
    vary: 'origin',
  }
}

function allowed(env: Env): Allowed {
  if (known?.env === env) return known.allowed
  const url = new URL(env.PUBLIC_URL)
  const names = /^(127\.0\.0\.1|localhost|\[::1\])$/u.test(url.hostname)
    ? ['127.0.0.1', 'localhost', '[::1]']
    : [url.hostname]
  const port = url.port === '' ? '' : `:${url.port}`
  const list = (text: string | undefined) =>
    (text ?? '')
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '')
  const set: Allowed = {
    hosts: new Set([
      ...names.map((name) => `${name}${port}`),
      ...list(env.ALLOWED_HOSTS).map((one) => one.toLowerCase()),
    ]),
    origins: new Set([...names.map((name) => `${url.protocol}//${name}${port}`), ...list(env.ALLOWED_ORIGINS)]),
  }
  known = { env, allowed: set }
  return set
}
