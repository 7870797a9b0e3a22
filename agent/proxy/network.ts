// The way out: connections to servers and issuers, with the certificates that are trusted for them. An address is judged when
// it is resolved, by the same look-up that connects, so that no name can turn inward between check and use.

import { lookup as resolve, type LookupAddress, type LookupOptions } from 'node:dns'
import { getCACertificates } from 'node:tls'
import { Agent, fetch as send } from 'undici'
import { guardEgress } from '../../gateway/backend/egress.ts'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { EgressRules } from './egress.ts'

const CONNECT_MS = 10_000
const IDLE_MS = 30_000

export interface Way {
  /** The resource allows private addresses. */
  readonly allowPrivate: boolean
  /** PEM certificates to trust besides the system's. */
  readonly ca: string | undefined
}

type Found = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void

export class Network {
  readonly #rules: EgressRules
  readonly #extraCa: string
  readonly #agents = new Map<string, Agent>()

  constructor(egressAllow: readonly string[], extraCa: string) {
    this.#rules = new EgressRules(egressAllow)
    this.#extraCa = extraCa
  }

  /** What `guardEgress` may let pass at this URL: the admin's list opens what a resource alone does not. */
  allowance(url: string, allowPrivate: boolean): { allowPrivate: boolean; allowLoopback: boolean } {
    const named = this.#rules.names(new URL(url).hostname)
    return { allowPrivate: allowPrivate || named, allowLoopback: named }
  }

  /** Throws `Fault` `backend_refused` unless the URL may be called as this server. */
  guard(url: string, server: string, allowPrivate: boolean): void {
    guardEgress(new URL(url), server, this.allowance(url, allowPrivate))
  }

  fetch(way: Way): Fetch {
    const dispatcher = this.#agent(way)
    // Nothing but text is ever sent, with headers as a record.
    return async (url, { method = 'GET', headers = {}, body, redirect = 'manual', signal = null }) =>
      send(url, {
        method,
        headers: headers as Record<string, string>,
        body: typeof body === 'string' ? body : null,
        redirect,
        signal,
        dispatcher,
      })
  }

  /** Lets calls under way end and takes no new ones. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#agents.values()].map((agent) => agent.close()))
  }

  #agent({ allowPrivate, ca = '' }: Way): Agent {
    const key = `${allowPrivate} ${ca}`
    const known = this.#agents.get(key)
    if (known !== undefined) return known
    const extra = [ca, this.#extraCa].filter((one) => one.trim() !== '')
    const agent = new Agent({
      allowH2: false,
      keepAliveTimeout: IDLE_MS,
      // The pipeline has deadlines of its own, and streams may be silent.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: {
        timeout: CONNECT_MS,
        keepAlive: true,
        keepAliveInitialDelay: 15_000,
        lookup: (host: string, options: LookupOptions, found: Found) =>
          this.#lookup(host, options, found, allowPrivate),
        ...(extra.length > 0 && { ca: [...getCACertificates('default'), ...extra] }),
      },
    })
    this.#agents.set(key, agent)
    return agent
  }

  #lookup(host: string, options: LookupOptions, found: Found, allowPrivate: boolean): void {
    resolve(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return found(error, [])
      const admitted = addresses.filter(({ address }) => this.#rules.admits(host, address, allowPrivate))
      const [first] = admitted
      if (first === undefined) return found(new Error('the name leads to an address that may not be called'), [])
      if (options.all === true) found(null, admitted)
      else found(null, first.address, first.family)
    })
  }
}
