// A server's catalog from its proxy's internal port: a long poll that is answered when there is news, so that virtual servers and
// the uplink know within a moment. They show an assertion of their own, which is good for this catalog alone.

import { ASSERTION_HEADER } from '../../gateway/auth/assertion.ts'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { readBounded } from '../../gateway/bounded.ts'
import { Fault } from '../../protocol/fault.ts'
import type { Look, Source } from './keeper.ts'

export const CATALOG_PATH = '/catalog'
/** How long a proxy keeps a reader waiting for news, in seconds. */
export const POLL_SECONDS = 25
/** Header with the digest of the catalog in the body. */
export const DIGEST_HEADER = 'waggle-catalog-digest'
const MAX_CATALOG = 24 * 1024 * 1024
/** Between two looks at a proxy that gives nothing to wait with. */
const PACE_MS = 30_000

export interface MemberHost {
  readonly server: string
  readonly url: string
  readonly fetch: Fetch
  /** Throws `Fault` `backend_refused` when the address may not be called. */
  readonly guard: () => void
  readonly assertion: () => Promise<string>
}

/** `C`: what `read` makes of the text that the proxy publishes; it throws an Error that says what is wrong with it. */
export class MemberSource<C> implements Source<C> {
  readonly deadlineMs = (POLL_SECONDS + 15) * 1000
  readonly #host: MemberHost
  readonly #read: (text: string) => C
  #digest = ''

  constructor(host: MemberHost, read: (text: string) => C) {
    this.#host = host
    this.#read = read
  }

  async look(signal: AbortSignal): Promise<Look<C>> {
    const { server, url, fetch, guard, assertion } = this.#host
    guard()
    const address = new URL(url)
    const known = this.#digest
    // Kept only by a look that succeeds: a proxy that comes back shall say so at once, and not when it has news.
    this.#digest = ''
    if (known !== '') address.searchParams.set('digest', known)
    const headers = { accept: 'application/json', [ASSERTION_HEADER]: await assertion() }
    const response = await fetch(address.href, { headers, redirect: 'manual', signal }).catch((error: unknown) => {
      throw away(server, error)
    })
    if (response.status === 204) {
      await response.body?.cancel()
      this.#digest = known
      return { catalog: undefined, againMs: 0 }
    }
    if (response.status !== 200 || response.body === null) {
      await response.body?.cancel()
      throw response.status === 401 || response.status === 403 ? refused(server) : away(server, response.status)
    }
    try {
      const text = await readBounded(response.body, MAX_CATALOG)
      if (text === undefined) throw new Error('is too large')
      const catalog = this.#read(text)
      this.#digest = response.headers.get(DIGEST_HEADER) ?? ''
      return { catalog, againMs: this.#digest === '' ? PACE_MS : 0 }
    } catch (error) {
      const detail = error instanceof Error ? error.message.slice(0, 200) : undefined
      throw new Fault('backend_protocol', `The proxy of server ${server} publishes no usable catalog.`, {
        data: { server },
        ...(detail !== undefined && { detail }),
      })
    }
  }

  close(): void {}
}

function away(server: string, cause: unknown): Fault {
  const text = `The catalog of server ${server} cannot be reached.`
  return new Fault('backend_unavailable', text, { data: { server }, detail: String(cause).slice(0, 200) })
}

/** Trust arrives with the proxy's next configuration, within moments: it is asked again as one that is coming up. */
function refused(server: string): Fault {
  return new Fault('backend_unavailable', `The proxy of server ${server} does not trust this reader yet.`, {
    data: { server },
  })
}
