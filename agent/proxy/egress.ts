// Which addresses a proxy may connect to, beyond what a URL shows: the cluster's admin may name hosts and ranges that are
// reachable although they are private, and an address is judged again when its name has been resolved.

import { isIP } from 'node:net'
import { zone } from '../../gateway/backend/egress.ts'
import { allowList, type AllowList } from '../allow-list.ts'

export class EgressRules {
  readonly #list: AllowList

  /** Entries that mean nothing open nothing: the operator refuses them before they get here. */
  constructor(entries: readonly string[]) {
    this.#list = allowList(entries)
  }

  /** Whether the admin named this host, or this literal address. */
  names(host: string): boolean {
    return this.#list.has(host)
  }

  /** Whether `host`, which resolves to `address`, may be connected to. */
  admits(host: string, address: string, allowPrivate: boolean): boolean {
    switch (zone(new URL(isIP(address) === 6 ? `http://[${withoutScope(address)}]/` : `http://${address}/`))) {
      case 'public':
        return true
      case 'private':
        return allowPrivate || this.names(host) || this.names(address)
      case 'loopback':
        return this.names(host) || this.names(address)
      case 'forbidden':
        return false
    }
  }
}

const withoutScope = (address: string): string => address.split('%', 1)[0] ?? ''
