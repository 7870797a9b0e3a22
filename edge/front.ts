// Requests at endpoints. They are told apart by one expression before any router looks at them: this is the hot path.

import { clusterOf } from '../gateway/catalog/fleet.ts'
import type { Host } from '../gateway/endpoint.ts'
import { handle } from '../gateway/handle.ts'
import { RequestRecord } from '../gateway/record.ts'
import { refusal } from '../gateway/reply.ts'
import { Fault } from '../protocol/fault.ts'
import { EVERYTHING } from './endpoints.ts'
import type { Env } from './env.ts'
import { hostFor, type EdgeHost } from './host.ts'
import { corsHeaders, foreign } from './origin.ts'
import { poke } from './refresh.ts'

type Defer = (work: Promise<unknown>) => void

const NOT_JSON_RPC = { era: 'legacy', id: undefined, acceptsStream: false } as const
const ENDPOINT = /^https?:\/\/[^/]+\/(?:([a-z0-9][-a-z0-9]{0,62}\/[a-z0-9][-.a-z0-9]{0,252})\/)?mcp(?:[?#]|$)/u

/** The key of the endpoint that a URL names, `mcp` for that of everything; undefined for every other URL. */
export function endpointKey(url: string): string | undefined {
  const match = ENDPOINT.exec(url)
  return match === null ? undefined : (match[1] ?? EVERYTHING)
}

/** One request at an endpoint. */
export async function serve(request: Request, key: string, env: Env, defer: Defer): Promise<Response> {
  const edge = hostFor(env)
  const host = requestHost(request, edge, defer)
  const cors = corsHeaders(request.headers, env)
  if (request.method === 'OPTIONS' && cors !== undefined) return new Response(null, { status: 204, headers: cors })
  const refused = foreign(request.headers, env)
  try {
    if (!edge.state.isFresh()) await edge.state.refresh(defer)
    const endpoint = edge.endpoints.built(key) ?? (await edge.endpoints.endpoint(key))
    if (endpoint === undefined) throw new Fault('not_found', `There is no endpoint ${key}.`)
    const response = await handle(request, endpoint, host, refused)
    if (cors !== undefined) for (const [name, value] of Object.entries(cors)) response.headers.set(name, value)
    return response
  } catch (error) {
    const fault =
      error instanceof Fault ? error : new Fault('internal', 'Internal error.', { detail: String(error).slice(0, 200) })
    new RequestRecord(request.headers, key, host).fail(fault)
    return refusal(fault, NOT_JSON_RPC)
  }
}

function requestHost(request: Request, edge: EdgeHost, defer: Defer): Host {
  const onCloudflare = request.cf?.colo !== undefined
  return {
    component: 'edge',
    // Only Cloudflare sets `cf`; elsewhere the header is whatever the caller says.
    source: onCloudflare ? (request.headers.get('cf-connecting-ip') ?? '') : '',
    endsWithClient: onCloudflare,
    now: Date.now,
    sealer: edge.sealer,
    sessions: edge.sessions,
    levels: edge.levels,
    inFlight: edge.inFlight,
    channel: edge.channel,
    revoked: edge.state.revoked,
    audit: (event) => edge.trail.write(event, defer),
    changed: (server) => {
      // Clusters say by themselves what changed there.
      const isOwn = clusterOf(server) === undefined
      if (isOwn && edge.announced.offer(server, Date.now())) defer(poke(edge.env, server).catch(() => undefined))
    },
    defer,
  }
}
