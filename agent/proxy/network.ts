// The way out: connections to servers and issuers, with the certificates that are trusted for them. An address is judged when
// it is resolved, by the same look-up that connects, so that no name can turn inward between check and use.

import { lookup as resolve } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { getCACertificates } from 'node:tls'
import { guardEgress } from '../../gateway/backend/egress.ts'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { EgressRules } from './egress.ts'
import { fetchOver } from './http.ts'

export interface Way {
  /** The resource allows private addresses. */
  readonly allowPrivate: boolean
  /** PEM certificates to trust besides the system's. */
  readonly ca: string | undefined
}

export class Network {
  readonly #rules: EgressRules
  readonly #extraCa: string
  readonly #ways = new Map<string, Fetch>()

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

  fetch({ allowPrivate, ca = '' }: Way): Fetch {
    const key = `${allowPrivate} ${ca}`
    const known = this.#ways.get(key)
    if (known !== undefined) return known
    const extra = [ca, this.#extraCa].filter((one) => one.trim() !== '')
    const made = fetchOver({
      lookup: this.#lookup(allowPrivate),
      ca: extra.length === 0 ? undefined : [...getCACertificates('default'), ...extra],
    })
    this.#ways.set(key, made)
    return made
  }

  #lookup(allowPrivate: boolean): LookupFunction {
    return (host, options, found) => {
      resolve(host, { ...options, all: true }, (error, addresses) => {
        if (error !== null) return found(error, [])
        const admitted = addresses.filter(({ address }) => this.#rules.admits(host, address, allowPrivate))
        const [first] = admitted
        if (first === undefined) found(new Error('the name leads to an address that may not be called'), [])
        else if (options.all === true) found(null, admitted)
        else found(null, first.address, first.family)
      })
    }
  }
}
