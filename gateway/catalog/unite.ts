// The catalogs of many endpoints → the catalog of everything this edge has, with one grant for each way to an item.

import type { Access, Grant } from '../policy.ts'
import { Catalog, spreadEntry, type CatalogEntry, type MergeProblem } from './catalog.ts'
import { fleetOf } from './fleet.ts'
import { exposed, mapUri } from './names.ts'
import { SECTIONS, type ServerCatalog } from './server.ts'
import { arrange, markName, oldest, type Mark, type Place } from './spread.ts'
import { unique, type Wish } from './unique.ts'

/**
 * Many endpoints → the catalog of everything: an item that several endpoints expose alike appears once, with one grant for each.
 * Names depend on the server and the name after overrides alone, so they are the same for every caller.
 */
export function unite(
  parts: readonly { readonly key: string; readonly catalog: Catalog; readonly access: Access }[],
): Catalog {
  const problems: MergeProblem[] = []
  const merged = new Map<string, CatalogEntry>()
  const fleets = new Map<string, { readonly part: CatalogEntry; readonly places: Map<string, Place> }>()
  const servers = new Map<string, ServerCatalog>()
  for (const { key: via, catalog, access } of parts) {
    const ways = new Map<Grant, Grant>()
    const way = (grant: Grant): Grant => {
      const known = ways.get(grant) ?? { via, access, rules: grant.rules }
      ways.set(grant, known)
      return known
    }
    const through = (grants: readonly Grant[]) => grants.map(way)
    for (const [key, server] of catalog.servers) servers.set(key, server)
    for (const section of SECTIONS) {
      for (const part of catalog.entries[section]) {
        const key = `${section} ${identityOf(part)}`
        if (part.fleet === undefined) {
          const known = merged.get(key)
          merged.set(key, { ...(known ?? part), grants: [...(known?.grants ?? []), ...through(part.grants)] })
          continue
        }
        const places = fleets.get(key)?.places ?? new Map<string, Place>()
        // How it is called is the server's own word: of endpoints that have it besides, one must not say it for the others.
        const fleet = { part: via === fleetOf(part.server) ? part : (fleets.get(key)?.part ?? part), places }
        for (const place of part.fleet.places) {
          const known = fleet.places.get(place.server)
          const grants = [...(known?.grants ?? []), ...through(place.grants)]
          fleet.places.set(place.server, { ...place, grants, trusted: place.trusted && known?.trusted !== false })
        }
        fleets.set(key, fleet)
      }
    }
  }
  const wishes = [
    ...[...merged.values()].map((part) => wish(part, undefined, part.server, (known) => ({ ...part, ...known }))),
    ...[...fleets.values()].flatMap(({ part, places }) => {
      const mode = part.fleet?.mode ?? 'prefixed'
      return arrange(mode, part.section, [...places.values()]).map((variant) => {
        const server = variant.mark === undefined ? fleetOf(part.server) : oldest(variant.places).server
        return wish(part, variant.mark, server, (known) => spreadEntry({ ...part, ...known }, mode, variant.places))
      })
    }),
  ]
  const entries: CatalogEntry[] = []
  for (const section of SECTIONS) {
    const isUri = section === 'resources' || section === 'templates'
    const found = wishes.filter((one) => one.section === section)
    for (const { candidate, name } of unique(found, isUri, problems))
      entries.push(candidate.made({ exposed: exposed(name) }))
  }
  return new Catalog(entries, servers, problems)
}

interface United extends Wish {
  readonly made: (name: Pick<CatalogEntry, 'exposed'>) => CatalogEntry
}

function wish(part: CatalogEntry, mark: Mark | undefined, server: string, made: United['made']): United {
  const { section, item, override } = part
  const isUri = section === 'resources' || section === 'templates'
  const key = fleetOf(server)
  const workload = key.slice(key.indexOf('/') + 1)
  const plain = isUri ? item.id : markName(`${workload}_${override?.name ?? item.id}`, mark)
  const wanted = isUri && mark !== undefined ? mapUri(plain, server) : plain
  const identity = `${server} ${part.original}${overriding(part)}`
  const yields = part.fleet !== undefined
  return { section, bare: item.id, identity, wanted, mark, yields, server, made }
}

/** What one endpoint overrides is no business of another's callers. */
function identityOf(part: CatalogEntry): string {
  return `${fleetOf(part.server)} ${part.original}${overriding(part)}`
}

const overriding = ({ override }: CatalogEntry): string =>
  override === undefined ? '' : ` ${JSON.stringify(override)}`
