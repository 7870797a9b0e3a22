// The admin API: resources, secrets, revocations, clusters and the audit trail, for holders of an admin token.
// Invariant: every call, refused or not, is authorised before anything else and audited exactly once.
// No CORS: browsers of other origins have no business here.

import { Hono } from 'hono'
import type { Context } from 'hono'
import type { Principal } from '../../gateway/principal.ts'
import { Fault, wire } from '../../protocol/fault.ts'
import type { Reason } from '../../protocol/fault.ts'
import type { Handler, Reply } from './call.ts'
import { queryOf } from './call.ts'
import type { AdminAction, AdminEvent, AdminHost } from './host.ts'
import {
  deleteCluster,
  drainCluster,
  getCluster,
  listClusters,
  mintToken,
  putCluster,
  revokeCluster,
} from './clusters.ts'
import { applyResources, deleteResource, getResource, listResources } from './resources.ts'
import { readMetrics, readStatus } from './status.ts'
import { addRevocation, deleteRevocation, listRevocations } from './revocations.ts'
import { listSecrets, putSecret, removeSecret, reseal } from './secrets.ts'

const routes: readonly (readonly [method: string, path: string, action: AdminAction, handler: Handler])[] = [
  ['PUT', '/admin/v1/resources', 'resource.apply', applyResources],
  ['GET', '/admin/v1/resources', 'resource.list', listResources],
  ['GET', '/admin/v1/resources/:kind/:namespace/:name', 'resource.get', getResource],
  ['DELETE', '/admin/v1/resources/:kind/:namespace/:name', 'resource.delete', deleteResource],
  ['GET', '/admin/v1/secrets', 'secret.list', listSecrets],
  ['PUT', '/admin/v1/secrets/:namespace/:name', 'secret.set', putSecret],
  ['DELETE', '/admin/v1/secrets/:namespace/:name', 'secret.delete', removeSecret],
  ['POST', '/admin/v1/secrets/reseal', 'secret.reseal', reseal],
  ['GET', '/admin/v1/revocations', 'revocation.list', listRevocations],
  ['POST', '/admin/v1/revocations', 'revocation.add', addRevocation],
  ['DELETE', '/admin/v1/revocations', 'revocation.delete', deleteRevocation],
  ['GET', '/admin/v1/clusters', 'cluster.list', listClusters],
  ['GET', '/admin/v1/clusters/:id', 'cluster.get', getCluster],
  ['PUT', '/admin/v1/clusters/:id', 'cluster.set', putCluster],
  ['DELETE', '/admin/v1/clusters/:id', 'cluster.delete', deleteCluster],
  ['POST', '/admin/v1/clusters/:id/token', 'cluster.token', mintToken],
  ['POST', '/admin/v1/clusters/:id/revoke', 'cluster.revoke', revokeCluster],
  ['POST', '/admin/v1/clusters/:id/drain', 'cluster.drain', drainCluster],
  ['GET', '/admin/v1/status', 'status.read', readStatus],
  ['GET', '/admin/v1/metrics', 'metrics.read', readMetrics],
  ['GET', '/admin/v1/audit', 'audit.read', listEvents],
]

/** The routes under `/admin/v1`; every other path of the app answers 404. Errors are `{error: {reason, message, problems?}}`. */
export function adminApi(host: AdminHost): Hono {
  const app = new Hono()
  for (const [method, path, action, handler] of routes) app.on(method, path, (c) => answer(host, c, action, handler))
  app.notFound((c) => answer(host, c, 'unknown', noRoute))
  return app
}

async function answer(host: AdminHost, c: Context, action: AdminAction, handler: Handler): Promise<Response> {
  const started = host.now()
  const request = c.req.raw
  let principal: Principal | undefined
  let outcome: { reply: Reply; headers?: Readonly<Record<string, string>>; detail?: string }
  try {
    principal = await host.authorize(request)
    // Two Host headers, or one that names no host, make a URL that cannot be read.
    const url = URL.parse(request.url)
    if (url === null) throw new Fault('invalid_request', 'The Host header names no host.')
    const reply = await handler({ host, request, principal, params: c.req.param(), query: url.searchParams })
    outcome = { reply, ...(reply.kind === 'done' && reply.detail !== undefined && { detail: reply.detail }) }
  } catch (error) {
    outcome = explain(error)
  }
  const { reply, headers, detail } = outcome
  const status = reply.kind === 'refused' ? statusOf(reply.reason) : 200
  host.audit({
    ...(principal !== undefined && { principal }),
    action,
    target: ((reply.kind === 'text' ? undefined : reply.target) ?? c.req.path).slice(0, 512),
    outcome: verdict(status),
    ...(reply.kind === 'refused' && { reason: reply.reason }),
    ...(detail !== undefined && { detail }),
    status,
    milliseconds: host.now() - started,
    request,
  })
  const uncached = { 'cache-control': 'no-store', ...headers }
  if (reply.kind === 'text')
    return new Response(reply.body, { headers: { 'content-type': 'text/plain; version=0.0.4', ...uncached } })
  return Response.json(bodyOf(reply), { status, headers: uncached })
}

/** A thrown error as a refusal; what is not a `Fault` stays private. */
function explain(error: unknown): { reply: Reply; headers: Record<string, string>; detail?: string } {
  if (!(error instanceof Fault)) {
    const reply: Reply = {
      kind: 'refused',
      reason: 'internal',
      message: 'The admin API failed. The audit trail says why.',
    }
    return { reply, headers: {}, detail: String(error).slice(0, 500) }
  }
  const retry = error.data?.retryAfterSeconds ?? (statusOf(error.reason) === 503 ? 2 : undefined)
  return {
    reply: { kind: 'refused', reason: error.reason, message: error.message },
    headers: { ...error.headers, ...(retry !== undefined && { 'retry-after': String(retry) }) },
    ...(error.detail !== undefined && { detail: error.detail }),
  }
}

function statusOf(reason: Reason): number {
  // Reasons that travel in-band in MCP have status 200 there, which no REST client would take for a failure.
  const { status } = wire(reason)
  return status < 400 ? 502 : status
}

function bodyOf(reply: Exclude<Reply, { kind: 'text' }>): object {
  if (reply.kind === 'done') return reply.body
  const { reason, message, problems } = reply
  return { error: { reason, message, ...(problems !== undefined && problems.length > 0 && { problems }) } }
}

function verdict(status: number): AdminEvent['outcome'] {
  if (status < 400) return 'success'
  if (status === 401 || status === 403) return 'denied'
  return status < 500 ? 'failure' : 'error'
}

async function listEvents(call: Parameters<Handler>[0]): Promise<Reply> {
  const { limit = '100' } = queryOf(call, ['limit'])
  if (!/^[1-9]\d{0,3}$/.test(limit) || Number(limit) > 1000)
    throw new Fault('invalid_request', 'The query parameter "limit" must be a number from 1 to 1000.')
  return { kind: 'done', body: { events: await call.host.events(Number(limit)) } }
}

async function noRoute({ request }: Parameters<Handler>[0]): Promise<Reply> {
  const { pathname } = new URL(request.url)
  throw new Fault('not_found', `The admin API has no ${request.method} ${pathname.slice(0, 256)}.`)
}
