// A planned server → something that can be called: its address, its credential opened from the vault, its network.

import type { Fetch, Upstream } from '../gateway/backend/upstream.ts'
import type { KeyRing } from '../gateway/seal.ts'
import { zone } from '../gateway/backend/egress.ts'
import { fingerprint } from '../gateway/catalog/hash.ts'
import { Fault } from '../protocol/fault.ts'
import { openSecret, type Secrets } from './documents/secrets.ts'
import type { Env } from './env.ts'
import type { Credential, SecretRef, ServerPlan } from '../plan/server.ts'

export interface Vault {
  readonly secrets: Secrets
  readonly keys: KeyRing
}

/** Calls into private networks only where the resource allows that; self-hosted workerd enforces it when it connects. */
export function network(env: Env, allowPrivate: boolean): Fetch {
  const inside = env.PRIVATE_NETWORK
  if (allowPrivate && inside !== undefined) return (url, init) => inside.fetch(url, init)
  return (url, init) => fetch(url, init)
}

/**
 * The network for calls of a request. The runtime ends what a request still fetches when the request ends, and the pipeline
 * stops waiting by itself, so the signal need not reach the network: that saves a tenth of a call.
 */
export function ofRequest(through: Fetch): Fetch {
  return (url, { signal: _signal, ...init }) => through(url, init)
}

/** `credential` is the server's own or the one that a virtual server uses for it. */
export function upstream(
  server: ServerPlan,
  credential: Credential,
  vault: Vault,
  env: Env,
  through = network(env, server.allowPrivate),
): Upstream {
  let headers: Readonly<Record<string, string>> | undefined
  return {
    server: server.key,
    url: server.url,
    account: fingerprint(JSON.stringify([server.key, server.headers, credential, server.secretHeaders])),
    transport: server.transport,
    allowPrivate: server.allowPrivate,
    allowLoopback: env.ALLOW_LOOPBACK === 'true',
    fetch: through,
    lasting: network(env, server.allowPrivate),
    headers: async () => {
      headers ??= await openHeaders(server, credential, vault)
      return headers
    },
  }
}

async function openHeaders(
  server: ServerPlan,
  credential: Credential,
  vault: Vault,
): Promise<Readonly<Record<string, string>>> {
  const headers: Record<string, string> = { ...server.headers }
  for (const { header, secret } of server.secretHeaders) headers[header] = await reveal(server, secret, vault)
  if (credential.kind === 'refused') throw unavailable(server, credential.message)
  if (credential.kind === 'assertion') throw unavailable(server, 'assertions are for servers of a cluster')
  const secret = credential.kind === 'header' || server.secretHeaders.length > 0
  const url = new URL(server.url)
  if (secret && url.protocol === 'http:' && zone(url) === 'public') {
    throw unavailable(server, 'a credential goes to a public address by https only')
  }
  if (credential.kind === 'header') {
    headers[credential.header] = credential.prefix + (await reveal(server, credential.secret, vault))
  }
  return headers
}

async function reveal(server: ServerPlan, ref: SecretRef, vault: Vault): Promise<string> {
  const value = await openSecret(vault.secrets, vault.keys, ref.namespace, ref.name, ref.key)
  if (value === undefined) throw unavailable(server, `the secret ${ref.namespace}/${ref.name} has no key ${ref.key}`)
  if (!/^[\x20-\x7e\x80-\xff]*$/u.test(value))
    throw unavailable(server, `the secret ${ref.namespace}/${ref.name} is not a header value`)
  return value
}

function unavailable(server: ServerPlan, detail: string): Fault {
  return new Fault(
    'backend_refused',
    `The edge has no credential for server ${server.key}; its admin must set it up.`,
    {
      data: { server: server.key },
      detail,
    },
  )
}
