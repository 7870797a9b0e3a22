// Lists as one caller sees them, from memory. Callers for whom the same grants hold share one projection, whose pages are
// kept as bytes: a list costs a copy, whatever the number of backends behind it.

import { Fault } from '../../protocol/fault.ts'
import { IMPLEMENTATION, META, type Era } from '../../protocol/revision.ts'
import { Lru } from '../lru.ts'
import { visible, type Grant } from '../policy.ts'
import type { Principal } from '../principal.ts'
import type { Sealer } from '../seal.ts'
import type { Catalog, CatalogEntry } from './catalog.ts'
import { fingerprint } from './hash.ts'
import { present } from './present.ts'
import { LISTS, SECTIONS, type Section } from './server.ts'
import type { Place } from './spread.ts'

const PAGE_ITEMS = 1000
const PAGE_CHARACTERS = 1_000_000
const CACHED_PAGES = 24
const LONGEST_TTL_MS = 60_000
const INCOMPLETE_TTL_MS = 1_000

interface Page {
  readonly result: Uint8Array
  readonly count: number
}

interface Cursor {
  readonly v: string
  readonly p: string
  readonly s: Section
  readonly at: number
}

export class Projection {
  readonly #catalog: Catalog
  readonly #sealer: Sealer
  /** How long a client may keep what it was told, in milliseconds. */
  readonly ttlMs: number
  readonly #grants: readonly Grant[]
  readonly #index = new Map<Grant, number>()
  readonly #signatures = new WeakMap<Principal, string>()
  readonly #pages = new Lru<string, Page>(CACHED_PAGES)
  readonly #servers = new Lru<string, ReadonlySet<string>>(CACHED_PAGES)
  readonly #digests = new Lru<string, string>(CACHED_PAGES * SECTIONS.length)

  /** `complete`: every member has been seen. Until then clients are asked to look again soon. */
  constructor(catalog: Catalog, sealer: Sealer, complete: boolean) {
    this.#catalog = catalog
    this.#sealer = sealer
    const ttls = [...catalog.servers.values()].map((server) => server.ttlMs)
    this.ttlMs = complete ? Math.min(LONGEST_TTL_MS, ...ttls) : INCOMPLETE_TTL_MS
    const byText = new Map<string, number>()
    const grants: Grant[] = []
    for (const entries of Object.values(catalog.entries)) {
      for (const grant of entries.flatMap((entry) => entry.grants)) {
        if (this.#index.has(grant)) continue
        const text = JSON.stringify([grant.access, grant.rules.map((rule) => [rule.groups, rule.claims, rule.place])])
        let at = byText.get(text)
        if (at === undefined) {
          at = grants.push(grant) - 1
          byText.set(text, at)
        }
        this.#index.set(grant, at)
      }
    }
    this.#grants = grants
  }

  /** The JSON-RPC result of a list as UTF-8. Throws `Fault` `invalid_params` for a cursor that is not (or no longer) ours. */
  async list(section: Section, principal: Principal, era: Era, cursor: string | undefined): Promise<Page> {
    const signature = this.#signature(principal)
    const at = cursor === undefined ? 0 : await this.#open(cursor, section, signature)
    const key = `${section} ${era} ${at} ${signature}`
    const known = this.#pages.get(key)
    if (known !== undefined) return known
    const page = await this.#build(section, signature, era, at)
    this.#pages.set(key, page)
    return page
  }

  /** The servers of which this caller sees at least one item; instances of fleets by their own keys. */
  servers(principal: Principal): ReadonlySet<string> {
    const signature = this.#signature(principal)
    const known = this.#servers.get(signature)
    if (known !== undefined) return known
    const entries = Object.values(this.#catalog.entries).flat()
    const visible = entries.filter((entry) => this.#sees(entry, signature))
    const seen = new Set(
      visible.flatMap((entry) => (this.#places(entry, signature) ?? [entry]).map(({ server }) => server)),
    )
    this.#servers.set(signature, seen)
    return seen
  }

  /** Changes when what this caller sees of a section does. */
  digest(section: Section, principal: Principal): string {
    const signature = this.#signature(principal)
    const key = `${section} ${signature}`
    const known = this.#digests.get(key)
    if (known !== undefined) return known
    const seen = this.#catalog.entries[section].filter((entry) => this.#sees(entry, signature))
    const digest = fingerprint(seen.map((one) => fingerprint(this.#text(one, signature, 'modern'))).join())
    this.#digests.set(key, digest)
    return digest
  }

  /** For every distinct grant whether it holds for this caller: equal signatures see equal lists. */
  #signature(principal: Principal): string {
    const known = this.#signatures.get(principal)
    if (known !== undefined) return known
    const signature = this.#grants.map((grant) => (visible(principal, grant) ? '1' : '0')).join('')
    this.#signatures.set(principal, signature)
    return signature
  }

  #sees(entry: CatalogEntry, signature: string): boolean {
    return entry.grants.some((grant) => signature[this.#index.get(grant) ?? -1] === '1')
  }

  /** Of a fleet's entry the places that are there for this caller. */
  #places({ fleet }: CatalogEntry, signature: string): readonly Place[] | undefined {
    return fleet?.places.filter(({ grants }) => grants.some((grant) => signature[this.#index.get(grant) ?? -1] === '1'))
  }

  #text(entry: CatalogEntry, signature: string, era: Era): string {
    return present(entry, this.#catalog, era, this.#places(entry, signature))
  }

  async #build(section: Section, signature: string, era: Era, start: number): Promise<Page> {
    const entries = this.#catalog.entries[section]
    const texts: string[] = []
    let characters = 0
    let at = start
    for (; at < entries.length && texts.length < PAGE_ITEMS && characters < PAGE_CHARACTERS; at += 1) {
      const entry = entries[at]
      if (entry === undefined || !this.#sees(entry, signature)) continue
      const text = this.#text(entry, signature, era)
      characters += text.length
      texts.push(text)
    }
    const more = entries.slice(at).some((entry) => this.#sees(entry, signature))
    const members = [`"${LISTS[section].member}":[${texts.join(',')}]`]
    if (more) {
      const cursor: Cursor = { v: this.#catalog.version, p: fingerprint(signature), s: section, at }
      members.push(`"nextCursor":${JSON.stringify(await this.#sealer.seal('cursor', cursor))}`)
    }
    if (era === 'modern') members.push(modernMembers(this.ttlMs))
    return { result: new TextEncoder().encode(`{${members.join(',')}}`), count: texts.length }
  }

  async #open(cursor: string, section: Section, signature: string): Promise<number> {
    const opened = (await this.#sealer.open('cursor', cursor)) as Cursor | undefined
    const valid = opened?.v === this.#catalog.version && opened.s === section && opened.p === fingerprint(signature)
    if (!valid) throw new Fault('invalid_params', '"cursor" is not valid any more: list again without it.')
    return opened.at
  }
}

/** What a complete, cacheable modern result carries besides its content (SEP-2549). */
export function modernMembers(ttlMs: number): string {
  return `"resultType":"complete","ttlMs":${ttlMs},"cacheScope":"private","_meta":${SERVER_INFO_META}`
}

/** `_meta` of every modern result: who answers. */
export const SERVER_INFO = JSON.stringify(IMPLEMENTATION)
export const SERVER_INFO_META = `{${JSON.stringify(META.server)}:${SERVER_INFO}}`
