// The headers that a planned server is called with, secrets filled in. Whether they may be sent is decided before one is read.

import { zone } from '../gateway/backend/egress.ts'
import { Fault } from '../protocol/fault.ts'
import type { SecretRef } from './references.ts'
import type { Credential, ServerPlan } from './server.ts'

/** The value of a secret's key; undefined where there is none. */
export type Reveal = (ref: SecretRef) => Promise<string | undefined>

const HEADER_VALUE = /^[\x20-\x7e\x80-\xff]*$/u

/**
 * `credential` is the server's own or the one that a virtual server uses for it. An assertion is not among the headers: it is
 * made for each caller. Throws `Fault` `backend_refused`, with the reason for the audit trail alone.
 */
export async function headersOf(
  server: ServerPlan,
  credential: Credential,
  reveal: Reveal,
): Promise<Readonly<Record<string, string>>> {
  if (credential.kind === 'refused') throw unavailable(server, credential.message)
  const secrets = [
    ...server.secretHeaders.map((one) => ({ ...one, prefix: '' })),
    ...(credential.kind === 'header' ? [credential] : []),
  ]
  const url = new URL(server.url)
  if (secrets.length > 0 && url.protocol === 'http:' && zone(url) === 'public')
    throw unavailable(server, 'a credential goes to a public address by https only')
  const headers: Record<string, string> = { ...server.headers }
  for (const { header, prefix, secret } of secrets) headers[header] = prefix + (await valueOf(secret, server, reveal))
  return headers
}

async function valueOf(ref: SecretRef, server: ServerPlan, reveal: Reveal): Promise<string> {
  const value = await reveal(ref)
  if (value === undefined) throw unavailable(server, `the secret ${ref.namespace}/${ref.name} has no key ${ref.key}`)
  if (!HEADER_VALUE.test(value))
    throw unavailable(server, `the secret ${ref.namespace}/${ref.name} is not a header value`)
  return value
}

/** Nobody can say who is calling this server. `detail` names no secret's value. */
export function unavailable({ key: server }: ServerPlan, detail: string): Fault {
  const text = `There is no credential for server ${server}; its admin must set it up.`
  return new Fault('backend_refused', text, { data: { server }, detail })
}
