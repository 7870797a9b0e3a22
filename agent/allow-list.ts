// What the cluster's admin lets proxies reach although it is private: names, names below a domain, addresses and CIDR ranges.
// Invariant: nothing in a list opens the addresses where clouds hand out credentials; their zone is `forbidden` and stays so.

import { BlockList, isIP } from 'node:net'

export interface AllowList {
  /** A host as a URL has it: a name in any case, an IPv4 address, or an IPv6 address with or without brackets. */
  has(host: string): boolean
}

/** Items that mean nothing are ignored; `badItems` tells of them. */
export function allowList(items: readonly string[]): AllowList {
  const names = new Set<string>()
  const domains: string[] = []
  const addresses = new BlockList()
  for (const item of items) {
    const parsed = parse(item)
    if (parsed === undefined) continue
    if (parsed.kind === 'name') names.add(parsed.name)
    else if (parsed.kind === 'domain') domains.push(parsed.suffix)
    else addresses.addSubnet(parsed.address, parsed.prefix, parsed.family)
  }
  return {
    has(host) {
      const name = plain(host)
      const family = isIP(name)
      if (family !== 0) return addresses.check(name, family === 4 ? 'ipv4' : 'ipv6')
      return names.has(name) || domains.some((suffix) => name.endsWith(suffix))
    },
  }
}

/** The items that are neither a name, a wildcard, an address nor a range. */
export function badItems(items: readonly string[]): string[] {
  return items.filter((item) => parse(item) === undefined)
}

type Item =
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'domain'; readonly suffix: string }
  | { readonly kind: 'range'; readonly address: string; readonly prefix: number; readonly family: 'ipv4' | 'ipv6' }

function parse(item: string): Item | undefined {
  const text = plain(item.trim())
  const [address = '', width, ...rest] = text.split('/')
  const version = isIP(address)
  if (version !== 0) {
    const bits = version === 4 ? 32 : 128
    const prefix = width === undefined ? bits : Number(width)
    const isWidth = width === undefined || /^\d{1,3}$/u.test(width)
    if (rest.length > 0 || !isWidth || prefix > bits) return undefined
    return { kind: 'range', address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' }
  }
  if (text.startsWith('*.')) return isName(text.slice(2)) ? { kind: 'domain', suffix: text.slice(1) } : undefined
  return isName(text) ? { kind: 'name', name: text } : undefined
}

function isName(text: string): boolean {
  return text.length <= 253 && /^[a-z0-9_]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9])?)*$/u.test(text)
}

function plain(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/u, '$1')
    .replace(/\.+$/u, '')
}
