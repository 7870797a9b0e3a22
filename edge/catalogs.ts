// Catalogs in the store: one index of digests, which isolates compare, and one body per server, which they load when an
// endpoint needs it. Nothing is written while nothing changes.

import type { Store } from '../gateway/ports.ts'
import { sha256 } from '../gateway/sha256.ts'
import { Lru } from '../gateway/lru.ts'
import type { ServerCatalog } from '../gateway/catalog/server.ts'
import { changeDocument, type Codec } from './documents/document.ts'
import type { Health } from './documents/health.ts'

export interface Digest {
  readonly digest: string
  /** Where it was fetched from, see `source`. A catalog from elsewhere is not this server's. */
  readonly source: string
}

/** `<namespace>/<name>` → digest of the newest catalog. */
export type CatalogIndex = ReadonlyMap<string, Digest>

export const catalogCodec: Codec<CatalogIndex> = {
  key: 'catalogs',
  empty: new Map(),
  parse: (json) => new Map((json as { items: [string, Digest][] }).items),
  print: (index) => ({ format: 1, items: [...index] }),
}

const bodyKey = (server: string): string => `catalog/${server}`
const healthKey = (server: string): string => `health/${server}`
const HEALTH_TTL_SECONDS = 24 * 3600
const BATCH = 64

/** Stores a catalog's body if it is news, and returns the digest that `announce` shall make known. */
export async function publish(
  store: Store,
  server: string,
  catalog: ServerCatalog,
  source: string,
  known: Digest | undefined,
): Promise<Digest | undefined> {
  const digest = (await sha256(JSON.stringify(catalog))).slice(0, 32)
  if (known?.digest === digest && known.source === source) return undefined
  await store.set(bodyKey(server), JSON.stringify({ digest, catalog }))
  return { digest, source }
}

/** Makes stored bodies known to every isolate, many in one write. */
export async function announce(store: Store, news: ReadonlyMap<string, Digest>): Promise<void> {
  await changeDocument(store, catalogCodec, (index) => ({
    next: new Map([...index, ...news].sort(([a], [b]) => (a < b ? -1 : 1))),
    result: undefined,
  }))
}

/** Forgets servers that are not configured any more. */
export async function prune(store: Store, index: CatalogIndex, servers: ReadonlySet<string>): Promise<void> {
  const gone = [...index.keys()].filter((server) => !servers.has(server))
  if (gone.length === 0) return
  await changeDocument(store, catalogCodec, (current) => ({
    next: new Map([...current].filter(([server]) => !gone.includes(server))),
    result: undefined,
  }))
  for (const server of gone) await Promise.all([store.del(bodyKey(server)), store.del(healthKey(server))])
}

export async function recordHealth(store: Store, server: string, health: Health): Promise<void> {
  await store.set(healthKey(server), JSON.stringify(health), { ttlSeconds: HEALTH_TTL_SECONDS })
}

export async function readHealth(store: Store, servers: readonly string[]): Promise<ReadonlyMap<string, Health>> {
  const entries = await store.mget(servers.map(healthKey))
  return new Map(
    servers.flatMap((server, at) => {
      const entry = entries[at]
      return entry === null || entry === undefined ? [] : [[server, JSON.parse(entry.value) as Health] as const]
    }),
  )
}

/** A catalog to load: its digest, and the key of its body in the store. */
export interface Wanted {
  readonly digest: string
  readonly at: string
}

/** The catalog of a server that the edge asks itself. */
export const ownBody = (server: string, { digest }: Digest): Wanted => ({ digest, at: bodyKey(server) })

/** Bodies that this isolate has loaded, by server and digest. */
export class Bodies {
  readonly #store: Store
  readonly #loaded = new Lru<string, ServerCatalog>(4096)

  constructor(store: Store) {
    this.#store = store
  }

  /** The catalogs of these servers, as far as they are stored. Loads what is missing, a batch per round trip. */
  async load(wanted: ReadonlyMap<string, Wanted>): Promise<ReadonlyMap<string, ServerCatalog>> {
    const found = new Map<string, ServerCatalog>()
    const missing: string[] = []
    for (const [server, { digest }] of wanted) {
      const body = this.#loaded.get(`${server} ${digest}`)
      if (body === undefined) missing.push(server)
      else found.set(server, body)
    }
    for (let at = 0; at < missing.length; at += BATCH) {
      const servers = missing.slice(at, at + BATCH)
      const entries = await this.#store.mget(servers.map((server) => wanted.get(server)?.at ?? bodyKey(server)))
      for (const [position, entry] of entries.entries()) {
        const server = servers[position]
        if (server === undefined || entry === null) continue
        const { digest, catalog } = JSON.parse(entry.value) as { digest: string; catalog: ServerCatalog }
        found.set(server, catalog)
        this.#loaded.set(`${server} ${digest}`, catalog)
      }
    }
    return found
  }
}
