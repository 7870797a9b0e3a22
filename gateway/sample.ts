// Servers, members and callers made from a few words, for tests only: items go through the reader that real ones go through.

import { isObject, parseMessage, type Json, type Message } from '../protocol/envelope.ts'
import type { Era } from '../protocol/revision.ts'
import { instanceKey, type FleetMode, type Instance } from './catalog/fleet.ts'
import type { Member } from './catalog/merge.ts'
import { LISTS, SECTIONS, readItems, type Section, type ServerCatalog } from './catalog/server.ts'
import { anonymous, type Principal } from './principal.ts'
import type { Passage } from './translate.ts'

/** Items by section: a bare name or URI, or an item's whole JSON text. */
export type Lists = Partial<Readonly<Record<Section, readonly string[]>>>

/** A server with these items. What `readItems` drops is among its problems. */
export function serverOf(lists: Lists, more: Partial<ServerCatalog> = {}): ServerCatalog {
  const read = SECTIONS.map((section) => {
    const text = `[${(lists[section] ?? []).map((item) => (/^\{\s*"/u.test(item) ? item : itemOf(section, item))).join()}]`
    return [section, readItems(section, JSON.parse(text) as Json[], text, 0)] as const
  })
  const items = new Map(read.map(([section, found]) => [section, found.items]))
  return {
    era: 'modern',
    revision: '2026-07-28',
    capabilities: {},
    ttlMs: 60_000,
    sections: {
      tools: items.get('tools') ?? [],
      prompts: items.get('prompts') ?? [],
      resources: items.get('resources') ?? [],
      templates: items.get('templates') ?? [],
    },
    problems: read.flatMap(([, found]) => found.problems),
    ...more,
  }
}

/** A member whose server is `<namespace>/<name>`. */
export function memberOf(server: string, lists: Lists, more: Partial<Member> = {}): Member {
  return { server, workload: server.split('/')[1] ?? '', catalog: serverOf(lists), rules: [], ...more }
}

/** A member that is a fleet: its instances by cluster, the oldest first. */
export function fleetMember(
  server: string,
  mode: FleetMode,
  clusters: Readonly<Record<string, Lists>>,
  more: (cluster: string) => Partial<Instance> = () => ({}),
): Member {
  const instances = Object.entries(clusters).map(([cluster, lists], since): Instance => {
    const key = instanceKey(server, cluster)
    return { server: key, cluster, since, catalog: serverOf(lists), rules: [], trustHints: false, ...more(cluster) }
  })
  return { ...memberOf(server, {}), fleet: { mode, instances } }
}

/** A caller of issuer `https://idp` with these scopes. */
export function caller(scopes: readonly string[] = [], more: Partial<Principal> = {}): Principal {
  const identity = { id: 'https://idp alice', issuer: 'https://idp', subject: 'alice' }
  return { ...anonymous, ...identity, scopes: new Set(scopes), ...more }
}

/** A request with id 1. */
export function request(method: string, params: unknown = {}): Message {
  return parseMessage(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))
}

/** A passage of `text` from a client of one era to server `ns/s` of another; the server's session is shared. */
export function passageOf(text: string, client: Era, server: Era, more: Partial<Passage> = {}): Passage {
  const message = parseMessage(text)
  const meta = message.params['_meta']
  return {
    message,
    opened: { era: client, revision: 'any', meta: isObject(meta) ? meta : {}, client: undefined },
    route: { server: 'ns/s', entry: undefined, rename: undefined },
    server: serverOf({}, { era: server }),
    owned: false,
    requestId: 'our-id',
    traceparent: 'our-trace',
    logLevel: undefined,
    requestState: undefined,
    ...more,
  }
}

function itemOf(section: Section, id: string): string {
  const tool = section === 'tools' ? { inputSchema: { type: 'object' } } : {}
  return JSON.stringify({ name: id, [LISTS[section].id]: id, ...tool })
}
