// The catalogs of a cluster's servers, as their proxies publish them: followed by long polls, kept as text, and not thrown away because a
// proxy is away for a while.

import { lookup } from 'node:dns'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { Keeper } from '../catalog/keeper.ts'
import { MemberSource } from '../catalog/member-source.ts'
import { fetchOver } from '../proxy/http.ts'

/** A proxy whose catalog is followed. */
export interface Followed {
  /** With the server's uid: another server of the same name has another catalog. */
  readonly key: string
  /** `<namespace>/<name>` */
  readonly server: string
  readonly url: string
  /** The proxy's identity. */
  readonly audience: string
}

export interface CatalogsHost {
  /** An assertion that its bearer may read this proxy's catalog. */
  readonly assertion: (audience: string) => Promise<string>
  readonly changed: (key: string) => void
  readonly fetch?: Fetch
}

interface Kept {
  readonly keeper: Keeper<string>
  readonly url: string
  text: string | undefined
}

export class Catalogs {
  readonly #host: CatalogsHost
  readonly #fetch: Fetch
  readonly #kept = new Map<string, Kept>()

  constructor(host: CatalogsHost) {
    this.#host = host
    this.#fetch = host.fetch ?? fetchOver({ lookup, ca: undefined })
  }

  /** The text that a proxy publishes; undefined while it is not known. */
  text(key: string): string | undefined {
    return this.#kept.get(key)?.text
  }

  /** How many proxies could be asked when they were asked last, and how many not. */
  states(): ReadonlyMap<'unknown' | 'ok' | 'failed', number> {
    const found = new Map<'unknown' | 'ok' | 'failed', number>()
    for (const { keeper } of this.#kept.values())
      found.set(keeper.health.state, (found.get(keeper.health.state) ?? 0) + 1)
    return found
  }

  /** Resolves when every proxy has told its catalog once, or after this time. */
  async seen(withinMs: number): Promise<void> {
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, withinMs)
    await Promise.race([Promise.all([...this.#kept.values()].map(({ keeper }) => keeper.seen)), late.promise])
    clearTimeout(timer)
  }

  /** Follows a proxy from now on, unless it is followed already at this address. */
  follow({ key, server, url, audience }: Followed): void {
    const before = this.#kept.get(key)
    if (before?.url === url) return
    before?.keeper.stop()
    const { assertion, changed } = this.#host
    const source = new MemberSource<string>(
      { server, url, fetch: this.#fetch, guard: () => undefined, assertion: async () => assertion(audience) },
      checked,
    )
    const found = (text: string): void => {
      if (this.#kept.get(key) !== kept || kept.text === text) return
      kept.text = text
      changed(key)
    }
    const kept: Kept = {
      keeper: new Keeper(server, source, { found, returned: () => undefined }),
      url,
      text: before?.text,
    }
    this.#kept.set(key, kept)
    void kept.keeper.run()
  }

  leave(key: string): void {
    this.#kept.get(key)?.keeper.stop()
    this.#kept.delete(key)
  }

  close(): void {
    for (const { keeper } of this.#kept.values()) keeper.stop()
    this.#kept.clear()
  }
}

/** It becomes part of a larger text, so it must be one value and no more; the edge judges what it says. */
function checked(text: string): string {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('is not an object')
  return text
}
