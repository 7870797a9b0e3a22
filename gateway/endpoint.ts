// An endpoint: one URL that a client connects to, with its guard, its catalog and the servers behind it. The host builds
// it from resources; the pipeline only reads it.

import { isObject, type JsonObject } from '../protocol/envelope.ts'
import type { AuditEvent } from '../protocol/audit.ts'
import type { Era } from '../protocol/revision.ts'
import type { Guard, Revoked } from './auth/guard.ts'
import type { Breaker } from './backend/breaker.ts'
import type { Backend } from './backend/upstream.ts'
import type { Channel } from './channel/channel.ts'
import type { Catalog } from './catalog/catalog.ts'
import { fleetOf, type Health } from './catalog/fleet.ts'
import type { Projection } from './catalog/project.ts'
import type { ServerCatalog } from './catalog/server.ts'
import type { InFlight } from './inflight.ts'
import type { Levels } from './levels.ts'
import type { Clock } from './ports.ts'
import type { Principal } from './principal.ts'
import type { Sealer } from './seal.ts'
import type { ClientSessions } from './session.ts'

export interface Endpoint {
  /** `<namespace>/<name>`, or `mcp` for the endpoint of everything. */
  readonly key: string
  readonly guard: Guard
  readonly catalog: Catalog
  readonly projection: Projection
  /** The one server behind it, where there is just one: it gets what no catalog entry names. */
  readonly sole: string | undefined
  /** How to call a server of the catalog. */
  readonly target: (server: string, via: string | undefined) => Target
  /** Every way to call a server, where the catalog spans several endpoints. */
  readonly targets: (server: string) => readonly Target[]
  /** How the instance of a fleet does, as far as its link tells; absent where nothing is linked. */
  readonly health?: (instance: string) => Health
}

export interface Target {
  /** Equal for the same server reached with the same credential. */
  readonly key: string
  /** The endpoint whose way this is, where the catalog spans several. */
  readonly via: string | undefined
  readonly backend: Backend
  /** The same server spoken to in an era that its catalog does not say; undefined for transports of one era. */
  readonly inEra?: ((era: Era) => Backend) | undefined
  /** The server is told who calls, so that no two callers may share what it says. */
  readonly perCaller?: boolean
  readonly breaker: Breaker
  /** Longest silence of the server during a call, in milliseconds. */
  readonly timeoutMs: number
}

/** What the pipeline needs from the program that runs it. */
export interface Host {
  readonly component: string
  /** Address of the caller, where the host can vouch for it; else empty. */
  readonly source: string
  readonly now: Clock
  readonly sealer: Sealer
  readonly sessions: ClientSessions
  readonly levels: Levels
  readonly inFlight: InFlight
  readonly channel: Channel
  readonly revoked: Revoked
  audit(event: AuditEvent): void
  /** The server says that its catalog changed, or answered as if its era had: look again soon. */
  changed(server: string): void
  /** The runtime ends a request whose client leaves, unless work of it is deferred. */
  readonly endsWithClient: boolean
  /** Lets work outlive the response. */
  defer(work: Promise<unknown>): void
}

/** The endpoint's only server, as far as it is there for this caller: an instance in some cluster may be out of bounds for it. */
export function soleFor({ sole, catalog, projection }: Endpoint, principal: Principal): string | undefined {
  return sole === undefined || !catalog.hasFleets || projection.servers(principal).has(sole) ? sole : undefined
}

/** The servers of which this caller sees anything, with the endpoint's only one in any case. */
export function visibleServers(endpoint: Endpoint, principal: Principal): [string, ServerCatalog][] {
  const seen = endpoint.projection.servers(principal)
  const sole = soleFor(endpoint, principal)
  return [...endpoint.catalog.servers].filter(([key]) => key === sole || seen.has(key))
}

/** What the endpoint offers: the union of its servers' capabilities. Changes are told whether a server tells them or not. */
export function capabilities(servers: readonly [string, ServerCatalog][]): JsonObject {
  const union: JsonObject = { tools: {} }
  for (const [, server] of servers) {
    for (const [key, value] of Object.entries(server.capabilities)) {
      const known = union[key]
      union[key] = isObject(known) && isObject(value) ? { ...known, ...value } : value
    }
  }
  for (const [key, value] of Object.entries(union)) {
    if (!isObject(value)) continue
    const { list: _list, ...rest } = value
    union[key] = LISTED.has(key) ? { ...rest, listChanged: true } : rest
  }
  return union
}

/** Servers that one message of a client may reach besides those it calls. */
const MAX_SPREAD = 32

/** The ways to the legacy servers behind an endpoint that this caller sees, for what concerns all of its sessions there. */
export function legacyTargets(
  endpoint: Endpoint,
  principal: Principal,
  concerned: (server: ServerCatalog) => boolean = () => true,
): Target[] {
  return visibleServers(endpoint, principal)
    .filter(([, server]) => server.era === 'legacy' && concerned(server))
    .flatMap(([key]) => endpoint.targets(key))
    .slice(0, MAX_SPREAD)
}

const LISTED: ReadonlySet<string> = new Set(['tools', 'prompts', 'resources'])

/** Whether a server tells who subscribed when a resource changes. */
export function offersSubscriptions({ capabilities: { resources } }: ServerCatalog): boolean {
  return isObject(resources) && resources['subscribe'] === true
}

/** The servers' own instructions, each under its name; instances that say the same say it once, for all of their fleet. */
export function instructions(servers: readonly [string, ServerCatalog][]): string | undefined {
  const texts = new Map<string, { readonly key: string; readonly text: string }>()
  for (const [key, { instructions: text }] of servers) {
    if (text === undefined) continue
    const fleet = fleetOf(key)
    const isShared = texts.has(`${fleet} ${text}`)
    texts.set(`${fleet} ${text}`, { key: isShared ? fleet : key, text })
  }
  const [only] = texts.values()
  if (only === undefined) return undefined
  if (servers.length === 1) return only.text
  return [...texts.values()]
    .map(({ key, text }) => `# ${key}\n\n${text}`)
    .join('\n\n')
    .slice(0, 32_768)
}
