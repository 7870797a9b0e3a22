// Protected resource metadata (RFC 9728): where it is, and what it says.

import type { Endpoint } from '../../gateway/endpoint.ts'
import type { RunConfig } from '../run-config.ts'

export const METADATA = '/.well-known/oauth-protected-resource'

/** Where the metadata of a resource is (RFC 9728 §3.1). */
export function metadataUrl(resource: string): string {
  const url = new URL(resource)
  return `${url.origin}${METADATA}${url.pathname === '/' ? '' : url.pathname}`
}

/** The document; undefined for an endpoint that asks for no token. */
export function metadata({ guard }: Endpoint, { endpoint, self }: RunConfig): Record<string, unknown> | undefined {
  if (guard.settings.issuers === undefined) return undefined
  const rules = [...endpoint.rules, ...endpoint.members.flatMap((member) => member.rules)]
  const scopes = [...new Set(rules.flatMap((rule) => rule.scopes ?? []))].sort()
  return guard.metadata(`${self.namespace}/${self.name}`, scopes)
}

/**
 * A challenge whose metadata is where this client can read it: behind a proxy that says so, at the address that the proxy is
 * known by. Anything but a plain host and scheme is not believed.
 */
export function forwarded(challenge: string, resource: string, headers: Headers): string {
  const host = headers.get('x-forwarded-host')?.split(',', 1)[0]?.trim() ?? ''
  const scheme = headers.get('x-forwarded-proto')?.split(',', 1)[0]?.trim() ?? 'https'
  if (!/^[a-z0-9.-]{1,253}(?::\d{1,5})?$/iu.test(host) || !/^https?$/u.test(scheme)) return challenge
  const { origin } = new URL(resource)
  return challenge.replace(`resource_metadata="${origin}/`, `resource_metadata="${scheme}://${host}/`)
}
