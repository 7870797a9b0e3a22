// A fleet behind an endpoint, whose servers a test scripts: requests go through the whole pipeline. For tests only.

import type { AuditEvent } from '../protocol/audit.ts'
import { isObject, parseMessage, resultText, type Json, type JsonObject } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import type { Era } from '../protocol/revision.ts'
import { Guard } from './auth/guard.ts'
import { Breaker } from './backend/breaker.ts'
import type { Backend, Call, Reply } from './backend/upstream.ts'
import { clusterOf, type FleetMode, type Health, type Instance } from './catalog/fleet.ts'
import { DEFAULT_AGGREGATION, merge } from './catalog/merge.ts'
import { Projection } from './catalog/project.ts'
import type { ServerCatalog } from './catalog/server.ts'
import type { Endpoint, Host, Target } from './endpoint.ts'
import { handle } from './handle.ts'
import { InFlight } from './inflight.ts'
import { fleetMember, serverOf, type Lists } from './sample.ts'
import { Sealer } from './seal.ts'
import { ClientSessions } from './session.ts'
import { MemoryStore } from './store/memory.ts'

export type Script = (call: Call) => Promise<Reply> | Reply

const sealer = new Sealer([{ kid: 'k', key: new Uint8Array(32).fill(7) }])
export const tool = (annotations: JsonObject = {}) =>
  JSON.stringify({ name: 'get', inputSchema: { type: 'object', properties: { q: {} } }, annotations })

/** The server's answer to any call: what `result` makes of the cluster. */
export const answering =
  (result: JsonObject): Script =>
  (call) => ({ kind: 'message', message: parseMessage(resultText(call.id ?? 'null', JSON.stringify(result))) })
export const text = (said: string) => ({ content: [{ type: 'text', text: said }] })
export const gone =
  (more: { unsent?: boolean; server?: string } = {}): Script =>
  () => {
    const data = { server: more.server ?? 'ns/s@a', retryAfterSeconds: 5 }
    throw new Fault('backend_unavailable', 'Server ns/s@a cannot be reached.', { data, unsent: more.unsent === true })
  }

export interface Scene {
  readonly calls: string[]
  readonly texts: string[]
  readonly audits: AuditEvent[]
  readonly limits: (number | undefined)[]
  readonly post: (args: JsonObject, more?: JsonObject, era?: Era) => Promise<JsonObject>
  readonly health: Map<string, Health>
}

/** An endpoint whose only member is a fleet `ns/s`, in the clusters of the scripts. */
export function sceneOf(
  mode: FleetMode,
  scripts: Readonly<Record<string, Script>>,
  more: Partial<Instance> = {},
  item = tool(),
  server: Partial<ServerCatalog> = {},
): Scene {
  const now = () => Date.now()
  const calls: string[] = []
  const texts: string[] = []
  const limits: (number | undefined)[] = []
  const audits: AuditEvent[] = []
  const health = new Map<string, Health>()
  const lists: Lists = { tools: [item] }
  const clusters = Object.fromEntries(Object.keys(scripts).map((cluster) => [cluster, lists]))
  const member = fleetMember('ns/s', mode, clusters, () => ({ catalog: serverOf(lists, server), ...more }))
  const catalog = merge([member], DEFAULT_AGGREGATION, [])
  const targets = new Map<string, Target>()
  const target = (key: string): Target => {
    const cluster = clusterOf(key) ?? ''
    const call: Backend['call'] = async (sent) => {
      calls.push(cluster)
      texts.push(sent.text)
      limits.push(sent.limit)
      const script = scripts[cluster]
      if (script === undefined) throw new Error(`nobody plays ${cluster}`)
      return script(sent)
    }
    const nothing = async () => undefined
    const backend: Backend = { call, tell: nothing, resume: nothing, listen: nothing, end: nothing }
    const breaker = new Breaker({ threshold: 3, openMs: 60_000 }, now)
    const made = targets.get(key) ?? { key, via: undefined, backend, breaker, timeoutMs: 2_000 }
    targets.set(key, made)
    return made
  }
  const resource = 'http://edge/ns/s/mcp'
  const endpoint: Endpoint = {
    key: 'ns/s',
    guard: new Guard({ issuers: undefined, audience: '', scopes: [], resource, metadataUrl: '' }, now),
    catalog,
    projection: new Projection(catalog, sealer, true),
    sole: undefined,
    target,
    targets: (key) => [target(key)],
    health: (key) => health.get(clusterOf(key) ?? '') ?? 'online',
  }
  const store = new MemoryStore(now)
  const host = {
    component: 'test',
    source: '',
    now,
    sealer,
    sessions: new ClientSessions(sealer, store, now),
    inFlight: new InFlight(),
    revoked: () => false,
    audit: (event: AuditEvent) => void audits.push(event),
    changed: () => undefined,
    endsWithClient: false,
    defer: () => undefined,
  } as unknown as Host
  const post = async (args: JsonObject, rest: JsonObject = {}, era: Era = 'modern') => {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const params = { name: 's_get', arguments: args, ...(era === 'modern' && { _meta: meta }), ...rest }
    const request = new Request('http://edge/ns/s/mcp', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': era === 'modern' ? '2026-07-28' : '2025-11-25',
        ...(era === 'modern' && { 'mcp-method': 'tools/call', 'mcp-name': 's_get' }),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }),
    })
    const response = await handle(request, endpoint, host, undefined)
    return (await response.json()) as JsonObject
  }
  return { calls, texts, limits, audits, post, health }
}

/** The texts of a result's content. */
export const said = ({ result }: JsonObject): Json =>
  isObject(result) && Array.isArray(result['content'])
    ? result['content'].map((block) => (isObject(block) ? (block['text'] ?? null) : null))
    : null
/** What the audit trail says of each request. */
export const extra = ({ audits }: Scene): { readonly outcome: string; readonly [key: string]: string | number }[] =>
  audits.map(({ outcome, metadata }) => ({ outcome, ...metadata.extra }))
