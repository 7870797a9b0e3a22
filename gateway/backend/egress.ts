// Where a backend may be. Literal addresses and names that stand for the inside are refused before any byte is sent, for
// redirects as for first requests. Names that resolve to the inside are the network layer's task: self-hosted workerd gives
// the gateway two networks, and the public one refuses private addresses when it connects.

import { Fault } from '../../protocol/fault.ts'

export type Zone = 'public' | 'private' | 'loopback' | 'forbidden'

/** Names of clouds' metadata services. */
const METADATA: ReadonlySet<string> = new Set([
  'metadata',
  'metadata.google.internal',
  'metadata.goog',
  'instance-data',
  'instance-data.ec2.internal',
])
const API_SERVER = /^kubernetes(\.default(\.svc(\..*)?)?)?$/u
const IN_CLUSTER = 'kubernetes.default.svc'
const INSIDE = /\.(internal|intranet|private|local|lan|home|home\.arpa|corp|localdomain|svc)$/u

/**
 * The zone of a URL's host. `forbidden` are cloud metadata, link-local, multicast and reserved addresses, which no setting
 * opens; `private` RFC 1918, RFC 6598, RFC 2544 and ULA addresses and cluster-internal names.
 */
export function zone(url: URL): Zone {
  const host = url.hostname.toLowerCase().replace(/\.+$/u, '')
  if (host.startsWith('[')) return zone6(host.slice(1, -1))
  const parts = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/u.exec(host)
  if (parts !== null) return zone4(parts.slice(1).map(Number))
  if (host === 'localhost' || host.endsWith('.localhost')) return 'loopback'
  if (METADATA.has(host) || API_SERVER.test(host)) return 'forbidden'
  return INSIDE.test(host) || !host.includes('.') ? 'private' : 'public'
}

/** Whether this is the API server of the cluster that the host runs in, asked for by its full name. */
export function isApiServer({ protocol, hostname }: URL): boolean {
  // Not every name that begins so: anybody may own what stands behind it.
  return protocol === 'https:' && (hostname === IN_CLUSTER || hostname === `${IN_CLUSTER}.cluster.local`)
}

/** Throws `Fault` `backend_refused` unless the address may be called. The message names the rule, not the address. */
export function guardEgress(url: URL, server: string, allow: { allowPrivate: boolean; allowLoopback: boolean }): void {
  const refuse = (message: string) =>
    new Fault('backend_refused', message, { data: { server }, detail: `egress to ${url.host}` })
  if (url.protocol !== 'https:' && url.protocol !== 'http:')
    throw refuse(`Server ${server} must be reached by http or https.`)
  if (url.username !== '' || url.password !== '')
    throw refuse(`The URL of server ${server} must not carry credentials.`)
  switch (zone(url)) {
    case 'public':
      return
    case 'private':
      if (allow.allowPrivate) return
      throw refuse(`Server ${server} is at a private address: set spec.allowPrivateEndpoint to allow that.`)
    case 'loopback':
      if (allow.allowPrivate && allow.allowLoopback) return
      throw refuse(
        `Server ${server} is at a loopback address: spec.allowPrivateEndpoint and the edge's ALLOW_LOOPBACK must allow that.`,
      )
    case 'forbidden':
      throw refuse(`Server ${server} is at an address that is never called.`)
  }
}

function zone4(parts: readonly number[]): Zone {
  const [a = 0, b = 0, c = 0, d = 0] = parts
  if (a === 127) return 'loopback'
  if (a === 10 || (a === 172 && b >= 16 && b <= 31) || (a === 192 && b === 168)) return 'private'
  if (a === 100 && b === 100 && c === 100 && d === 200) return 'forbidden'
  if (a === 168 && b === 63 && c === 129 && d === 16) return 'forbidden'
  if ((a === 100 && b >= 64 && b <= 127) || (a === 198 && (b === 18 || b === 19))) return 'private'
  if (a === 0 || a >= 224 || (a === 169 && b === 254) || (a === 192 && b === 0 && c === 0)) return 'forbidden'
  return 'public'
}

function zone6(host: string): Zone {
  const words = expand(host)
  if (words === undefined) return 'forbidden'
  const [first = 0, second = 0] = words
  const tail = words.slice(6)
  const v4 = [(tail[0] ?? 0) >> 8, (tail[0] ?? 0) & 255, (tail[1] ?? 0) >> 8, (tail[1] ?? 0) & 255]
  const zeros = words.slice(0, 5).every((word) => word === 0)
  if (zeros && (words[5] === 0xffff || words[5] === 0)) {
    const low = words[5] === 0 && tail[0] === 0
    if (low && tail[1] === 1) return 'loopback'
    return low && tail[1] === 0 ? 'forbidden' : zone4(v4)
  }
  if (first === 0x64 && second === 0xff9b && words.slice(2, 6).every((word) => word === 0)) return zone4(v4)
  if (first === 0x2002) return zone4([second >> 8, second & 255, (words[2] ?? 0) >> 8, (words[2] ?? 0) & 255])
  if ((first === 0xfd00 && second === 0xec2) || (first === 0xfd20 && second === 0xce)) return 'forbidden'
  if ((first & 0xfe00) === 0xfc00) return 'private'
  // Of the rest only global unicast leads outside; its protocol assignments (Teredo among them) embed other addresses.
  if ((first & 0xe000) !== 0x2000 || (first === 0x2001 && second < 0x200)) return 'forbidden'
  return 'public'
}

/** The eight words of an address as the URL parser prints it (compressed, never with a dotted tail). */
function expand(host: string): number[] | undefined {
  const [head = '', tail] = host.split('::')
  const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)))
  const left = words(head)
  const right = tail === undefined ? [] : words(tail)
  const missing = 8 - left.length - right.length
  if (missing < 0 || (tail === undefined && missing !== 0)) return undefined
  const all = [...left, ...Array.from({ length: missing }, () => 0), ...right]
  return all.every((word) => word >= 0 && word <= 0xffff) ? all : undefined
}
