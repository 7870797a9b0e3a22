// A planned server → something that can be called: its address, its credential opened from the vault, its network.

import type { Fetch, Upstream } from '../gateway/backend/upstream.ts'
import type { KeyRing } from '../gateway/seal.ts'
import { fingerprint } from '../gateway/catalog/hash.ts'
import { openSecret, type Secrets } from './documents/secrets.ts'
import type { Env } from './env.ts'
import { headersOf, unavailable } from '../plan/credential.ts'
import type { Credential, ServerPlan } from '../plan/server.ts'

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

function openHeaders(
  server: ServerPlan,
  credential: Credential,
  { secrets, keys }: Vault,
): Promise<Readonly<Record<string, string>>> {
  if (credential.kind === 'assertion') throw unavailable(server, 'assertions are for servers of a cluster')
  return headersOf(server, credential, ({ namespace, name, key }) => openSecret(secrets, keys, namespace, name, key))
}
