// A planned server → something that can be called: its address, its credential from the pod's files, its network.

import type { Fetch, Upstream } from '../../gateway/backend/upstream.ts'
import { fingerprint } from '../../gateway/catalog/hash.ts'
import { headersOf } from '../../plan/credential.ts'
import type { Credential, ServerPlan } from '../../plan/server.ts'
import type { Network } from './network.ts'
import type { SecretFiles } from './secrets.ts'

/**
 * `credential` is the server's own or the one that a virtual server uses for it; `through`, where the server is reached otherwise than
 * over the network.
 */
export function upstream(
  server: ServerPlan,
  credential: Credential,
  secrets: SecretFiles,
  network: Network,
  through?: Fetch,
): Upstream {
  return {
    server: server.key,
    url: server.url,
    account: fingerprint(JSON.stringify([server.key, server.headers, credential, server.secretHeaders])),
    transport: server.transport,
    ...network.allowance(server.url, server.allowPrivate),
    fetch: through ?? network.fetch({ allowPrivate: server.allowPrivate, ca: server.ca }),
    headers: () => headersOf(server, credential, (ref) => secrets.read(ref)),
  }
}
