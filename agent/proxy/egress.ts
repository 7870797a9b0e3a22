// Which addresses a proxy may connect to, beyond what a URL shows: the cluster's admin may name hosts and ranges that are
// reachable although they are private, and an address is judged again when its name has been resolved.

import { BlockList, isIP } from 'node:net'
import { zone } from '../../gateway/backend/egress.ts'

export class EgressRules {
  readonly #hosts = new Set<string>()
  /** `.example.com` of `*.example.com`. */
  readonly #suffixes: string[] = []
  readonly #ranges = new BlockList()

  /** Entries are hosts, `*.example.com`, addresses and CIDR ranges. Throws an Error that names the entry that is none of them. */
  constructor(entries: readonly string[]) {
    for (const entry of entries) this.#add(entry.trim().toLowerCase())
  }

  /** Whether the admin named this host, or this literal address. */
  names(host: string): boolean {
    const name = bare(host)
    const family = isIP(name)
    if (family !== 0) return this.#ranges.check(name, family === 6 ? 'ipv6' : 'ipv4')
    return this.#hosts.has(name) || this.#suffixes.some((suffix) => name.endsWith(suffix))
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

  #add(entry: string): void {
    const [address = '', length] = entry.split('/')
    const family = isIP(bare(address))
    if (family !== 0) {
      const bits = family === 6 ? 128 : 32
      const prefix = length === undefined ? bits : Number(length)
      if (!Number.isInteger(prefix) || prefix < 0 || prefix > bits) throw bad(entry)
      this.#ranges.addSubnet(bare(address), prefix, family === 6 ? 'ipv6' : 'ipv4')
      return
    }
    const name = entry.startsWith('*.') ? entry.slice(2) : entry
    if (!/^[a-z0-9_](?:[-a-z0-9_.]*[a-z0-9_])?$/u.test(name)) throw bad(entry)
    if (name === entry) this.#hosts.add(name)
    else this.#suffixes.push(`.${name}`)
  }
}

const bare = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\[|\]$/gu, '')
    .replace(/\.+$/u, '')
const withoutScope = (address: string): string => address.split('%', 1)[0] ?? ''

function bad(entry: string): Error {
  return new Error(`egressAllow: "${entry.slice(0, 64)}" is no host name, *.domain, address or CIDR range`)
}
