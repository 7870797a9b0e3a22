// The edge's URLs besides its endpoints: health, the welcome page, metadata, the admin API.

import { Hono } from 'hono'
import type { Guard } from '../gateway/auth/guard.ts'
import { refusal } from '../gateway/reply.ts'
import { Fault } from '../protocol/fault.ts'
import { adminApi } from './admin/api.ts'
import { adminHost } from './admin-host.ts'
import { publicKeys } from './assertions.ts'
import { EVERYTHING } from './endpoints.ts'
import type { Env } from './env.ts'
import { hostFor } from './host.ts'
import { linkHost } from './join/host.ts'
import { joinRoutes } from './join/routes.ts'
import { welcome } from './welcome.ts'

type Defer = (work: Promise<unknown>) => void

const METADATA = '/.well-known/oauth-protected-resource'
const NOT_JSON_RPC = { era: 'legacy', id: undefined, acceptsStream: false } as const

export const app = new Hono<{ Bindings: Env }>()

app.get('/healthz', (c) => c.text('ok'))
app.get('/readyz', async (c) => {
  await hostFor(c.env).state.refresh((work) => c.executionCtx.waitUntil(work))
  return c.text('ready')
})
app.get('/', (c) => c.text(welcome(c.env.PUBLIC_URL)))

app.get(`${METADATA}/*`, (c) =>
  metadata(c.req.path.slice(METADATA.length), c.env, (work) => c.executionCtx.waitUntil(work)),
)
// Whose assertions the servers of clusters believe. Operators fetch it every five minutes.
app.get('/.well-known/jwks.json', (c) => c.json(publicKeys(c.env), 200, { 'cache-control': 'public, max-age=300' }))
app.all('/.well-known/*', (c) => c.json({ error: 'not_found' }, 404))

app.all('/admin/*', async (c) => {
  const host = hostFor(c.env)
  const defer: Defer = (work) => c.executionCtx.waitUntil(work)
  return adminApi(adminHost(host, defer)).fetch(c.req.raw)
})

app.all('/link/*', (c) =>
  joinRoutes(
    c.req.raw,
    linkHost(hostFor(c.env), (work) => c.executionCtx.waitUntil(work)),
  ),
)

app.notFound((c) => refusal(new Fault('not_found', `There is nothing at ${c.req.path.slice(0, 128)}.`), NOT_JSON_RPC))
app.onError((error) => {
  const fault = error instanceof Fault ? error : new Fault('internal', 'Internal error.')
  if (!(error instanceof Fault))
    console.error(JSON.stringify({ msg: 'internal_error', error: `${error.name}: ${error.message}` }))
  return refusal(fault, NOT_JSON_RPC)
})

/** Protected resource metadata (RFC 9728 §3): one document per endpoint, none for endpoints that ask for no token. */
async function metadata(path: string, env: Env, defer: Defer): Promise<Response> {
  const { state, endpoints, adminGuard } = hostFor(env)
  const headers = { 'access-control-allow-origin': '*', 'cache-control': 'max-age=60' }
  const found = async (): Promise<{ guard: Guard; name: string; scopes: string[] } | undefined> => {
    if (path === '/admin') return { guard: adminGuard, name: 'Waggle admin API', scopes: [] }
    await state.refresh(defer)
    const key = path === '/mcp' ? EVERYTHING : /^\/([^/]+\/[^/]+)\/mcp$/u.exec(path)?.[1]
    if (key === undefined || (key !== EVERYTHING && !state.plan.endpoints.has(key))) return undefined
    return { guard: endpoints.guard(key), name: key === EVERYTHING ? 'Waggle' : key, scopes: endpoints.scopes(key) }
  }
  const entry = await found()
  if (entry === undefined || entry.guard.settings.issuers === undefined) {
    return Response.json({ error: 'not_found' }, { status: 404, headers })
  }
  return Response.json(entry.guard.metadata(entry.name, entry.scopes), { headers })
}
