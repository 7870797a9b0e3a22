// The port that clients connect to: the endpoint at `<prefix>/mcp` and `<prefix>/`, its metadata, and ToolHive's health page.

import { Hono } from 'hono'
import type { HttpBindings } from '@hono/node-server'
import type { Host } from '../../gateway/endpoint.ts'
import { handle } from '../../gateway/handle.ts'
import { refusal } from '../../gateway/reply.ts'
import { Fault } from '../../protocol/fault.ts'
import type { RunConfig } from '../run-config.ts'
import type { Keeper } from '../catalog/keeper.ts'
import { forwarded, METADATA, metadata } from './metadata.ts'
import { foreign } from './origin.ts'
import type { State } from './state.ts'

const NOT_JSON_RPC = { era: 'legacy', id: undefined, acceptsStream: false } as const
const METHODS: ReadonlySet<string> = new Set(['POST', 'GET', 'DELETE'])

export interface FrontHost {
  readonly state: State
  /** What the pipeline needs for a request from this address. */
  readonly pipeline: (source: string) => Host
  /** The process is about to end: connections are given up after each answer. */
  readonly isEnding: () => boolean
}

export function front(host: FrontHost): Hono<{ Bindings: HttpBindings }> {
  const app = new Hono<{ Bindings: HttpBindings }>()
  const { state } = host
  app.get('/health', (c) => c.json(health(state)))
  app.get(`${METADATA}/*`, (c) => document(c.req.raw, state))
  app.get(METADATA, (c) => document(c.req.raw, state))
  app.all('*', async (c) => {
    const { config, endpoint } = state
    if (config === undefined || endpoint === undefined || !isEndpoint(c.req.path, config))
      return refusal(new Fault('not_found', 'There is nothing at this path.'), NOT_JSON_RPC)
    const request = c.req.raw
    if (!METHODS.has(request.method))
      return new Response(null, { status: 405, headers: { allow: [...METHODS].join(', ') } })
    const refused = foreign(request.headers, config.url, endpoint.guard.settings.issuers === undefined)
    const source = c.env.incoming.socket.remoteAddress ?? ''
    const response = await handle(request, endpoint, host.pipeline(source), refused)
    const challenge = response.headers.get('www-authenticate')
    if (challenge !== null && config.trustProxyHeaders) {
      const { resource } = endpoint.guard.settings
      response.headers.set('www-authenticate', forwarded(challenge, resource, request.headers))
    }
    if (host.isEnding()) response.headers.set('connection', 'close')
    return response
  })
  app.onError(() => refusal(new Fault('internal', 'Internal error.'), NOT_JSON_RPC))
  return app
}

function isEndpoint(path: string, { prefix }: RunConfig): boolean {
  return path === `${prefix}/mcp` || path === `${prefix}/` || (prefix !== '' && path === prefix)
}

function document(_request: Request, { config, endpoint }: State): Response {
  const headers = { 'access-control-allow-origin': '*', 'cache-control': 'max-age=60' }
  const found = config === undefined || endpoint === undefined ? undefined : metadata(endpoint, config)
  if (found === undefined) return Response.json({ error: 'not_found' }, { status: 404, headers })
  return Response.json(found, { headers })
}

/** As ToolHive's proxies say it; degraded while a server's catalog cannot be had, and HTTP 200 in any case. */
function health({ keepers, config }: State): Record<string, unknown> {
  const all = [...keepers.values()].map((keeper: Keeper) => keeper.health)
  const failed = all.find((one) => one.state === 'failed')
  const isAvailable = all.every((one) => one.state === 'ok')
  const last = Math.max(0, ...all.map((one) => one.at ?? 0))
  return {
    status: isAvailable ? 'healthy' : 'degraded',
    timestamp: new Date().toISOString(),
    transport: config?.servers[0]?.transport ?? 'streamable-http',
    mcp: {
      available: isAvailable,
      response_time_ms: Math.max(0, ...all.map((one) => one.tookMs)),
      ...(failed?.message !== undefined && { error: failed.message }),
      ...(last > 0 && { last_checked: new Date(last).toISOString() }),
    },
  }
}
