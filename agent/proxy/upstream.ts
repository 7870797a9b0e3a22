// A planned server → something that can be called: its address, its credential from the pod's files, its network.

import { zone } from '../../gateway/backend/egress.ts'
import type { Upstream } from '../../gateway/backend/upstream.ts'
import { fingerprint } from '../../gateway/catalog/hash.ts'
import type { Credential, SecretRef, ServerPlan } from '../../plan/server.ts'
import { Fault } from '../../protocol/fault.ts'
import type { Network } from './network.ts'
import type { SecretFiles } from './secrets.ts'

/** `credential` is the server's own or the one that a virtual server uses for it. */
export function upstream(server: ServerPlan, credential: Credential, secrets: SecretFiles, network: Network): Upstream {
  return {
    server: server.key,
    url: server.url,
    account: fingerprint(JSON.stringify([server.key, server.headers, credential, server.secretHeaders])),
    transport: server.transport,
    ...network.allowance(server.url, server.allowPrivate),
    fetch: network.fetch({ allowPrivate: server.allowPrivate, ca: server.ca }),
    headers: () => headers(server, credential, secrets),
  }
}

async function headers(
  server: ServerPlan,
  credential: Credential,
  secrets: SecretFiles,
): Promise<Readonly<Record<string, string>>> {
  if (credential.kind === 'refused') throw unavailable(server, credential.message)
  const found: Record<string, string> = { ...server.headers }
  if (credential.kind !== 'header' && server.secretHeaders.length === 0) return found
  const url = new URL(server.url)
  if (url.protocol === 'http:' && zone(url) === 'public')
    throw unavailable(server, 'a credential goes to a public address by https only')
  for (const { header, secret } of server.secretHeaders) found[header] = await reveal(server, secret, secrets)
  if (credential.kind === 'header')
    found[credential.header] = credential.prefix + (await reveal(server, credential.secret, secrets))
  return found
}

async function reveal(server: ServerPlan, ref: SecretRef, secrets: SecretFiles): Promise<string> {
  const value = await secrets.read(ref)
  if (value === undefined) throw unavailable(server, `the secret ${ref.namespace}/${ref.name} has no key ${ref.key}`)
  if (!/^[\x20-\x7e\x80-\xff]*$/u.test(value))
    throw unavailable(server, `the secret ${ref.namespace}/${ref.name} is not a header value`)
  return value
}

function unavailable(server: ServerPlan, detail: string): Fault {
  const text = `There is no credential for server ${server.key}; its admin must set it up.`
  return new Fault('backend_refused', text, { data: { server: server.key }, detail })
}
