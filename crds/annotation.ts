// Waggle's own settings, written as annotations under waggle.dev/ so that a manifest stays valid on ToolHive. A wrong value or an
// unknown key is a problem: a misspelt setting must not be ignored.
import { milliseconds } from './duration.ts'
import type { Kind } from './kinds.ts'
import { Name, Namespace } from './name.ts'
import { nearest } from './nearest.ts'
import { formatPath, type Problem } from './problem.ts'

const prefix = 'waggle.dev/'

/** JWS algorithms that `waggle.dev/algorithms` may allow: asymmetric ones only (RFC 8725 §3.1). */
export const algorithms = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const

/** What is wrong with a value, or undefined. */
type Check = (value: string) => string | undefined

const federation: Check = (value) =>
  ['addressable', 'interchangeable', 'prefixed'].includes(value)
    ? undefined
    : 'must be addressable, interchangeable or prefixed'

const consent: Check = (value) =>
  items(value, (item) => Namespace.safeParse(item).success)
    ? undefined
    : 'must be a comma-separated list of up to 64 namespaces'

const switched: Check = (value) => (value === 'true' || value === 'false' ? undefined : 'must be "true" or "false"')

const server = {
  'waggle.dev/allow-virtual-servers-from': consent,
  'waggle.dev/federation': federation,
  'waggle.dev/trust-hints': switched,
}
/** What has a proxy in a cluster can be kept from the edge. */
const published = { 'waggle.dev/publish': switched }

const known: Readonly<Partial<Record<Kind, Readonly<Record<string, Check>>>>> = {
  MCPServer: { ...server, ...published },
  MCPRemoteProxy: { ...server, ...published },
  MCPServerEntry: server,
  VirtualMCPServer: {
    'waggle.dev/additional-oidc-configs': (value) =>
      items(value, (item) => Name.safeParse(item).success)
        ? undefined
        : 'must be a comma-separated list of up to 64 names of MCPOIDCConfigs of the same namespace',
    'waggle.dev/federation': federation,
    ...published,
    'waggle.dev/call-timeout': (value) =>
      within(value, 1, 30 * 60_000) ? undefined : 'must be a duration from 1ms to 30m, such as 90s',
  },
  MCPOIDCConfig: {
    'waggle.dev/clock-skew': (value) =>
      within(value, 0, 5 * 60_000) ? undefined : 'must be a duration of at most 5m, such as 60s (the default)',
    'waggle.dev/algorithms': (value) =>
      items(value, (item) => algorithms.some((algorithm) => algorithm === item))
        ? undefined
        : `must be a comma-separated list out of ${algorithms.join(', ')}`,
    'waggle.dev/groups-claim': (value) =>
      /^\S(.{0,251}\S)?$/.test(value) ? undefined : 'must be the name of a claim, such as groups',
  },
}

/** The items of a comma-separated annotation, trimmed; none for undefined. */
export function commaList(value: string | undefined): string[] {
  return (value ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')
}

/** Problems of the annotations of a resource of `kind`; keys outside waggle.dev/ are nobody's business here. */
export function checkAnnotations(kind: Kind, annotations: Readonly<Record<string, unknown>>): Problem[] {
  const problems: Problem[] = []
  const keys = known[kind] ?? {}
  for (const [key, value] of Object.entries(annotations)) {
    if (!key.startsWith(prefix) || typeof value !== 'string') continue
    const path = formatPath(['metadata', 'annotations', key])
    const check = Object.hasOwn(keys, key) ? keys[key] : undefined
    if (check === undefined) {
      problems.push(unknownKey(kind, key, path))
      continue
    }
    const message = check(value)
    if (message !== undefined) problems.push({ path, message })
  }
  return problems
}

function unknownKey(kind: Kind, key: string, path: string): Problem {
  const owners = Object.entries(known).filter(([, keys]) => Object.hasOwn(keys, key))
  if (owners.length > 0) {
    return { path, message: `has no meaning on ${kind}; it belongs on ${owners.map(([owner]) => owner).join(' or ')}` }
  }
  const here = Object.keys(known[kind] ?? {})
  const suggestion = nearest(
    key.slice(prefix.length),
    here.map((each) => each.slice(prefix.length)),
  )
  const message =
    here.length === 0
      ? `is unknown; ${kind} has no annotations under ${prefix}`
      : `is unknown; known: ${here.join(', ')}`
  return { path, message, ...(suggestion === undefined ? {} : { suggestion: prefix + suggestion }) }
}

function items(value: string, fits: (item: string) => boolean): boolean {
  const found = commaList(value)
  return found.length > 0 && found.length <= 64 && found.every(fits)
}

function within(value: string, leastMs: number, mostMs: number): boolean {
  const ms = milliseconds(value)
  return ms !== undefined && ms >= leastMs && ms <= mostMs
}
