// How servers are called: those of the edge with their own credentials, those of clusters over the link, told who calls.

import { namedIn } from '../gateway/auth/assertion.ts'
import type { AssertionSigner } from '../gateway/auth/assertion-signer.ts'
import { AssertedBackend } from '../gateway/backend/asserted.ts'
import { ModernBackend } from '../gateway/backend/modern.ts'
import { LegacyBackend, type Sessions } from '../gateway/backend/session.ts'
import type { Backend, Upstream } from '../gateway/backend/upstream.ts'
import type { Target } from '../gateway/endpoint.ts'
import type { Levels } from '../gateway/levels.ts'
import type { InstancePlan } from '../plan/instance.ts'
import type { Credential, ServerPlan } from '../plan/server.ts'
import { Fault } from '../protocol/fault.ts'
import type { Era } from '../protocol/revision.ts'
import type { Env } from './env.ts'
import { linkFetch } from './hub/fetch.ts'
import { SseBackend } from './sse-backend.ts'
import { network, ofRequest, upstream, type Vault } from './upstream.ts'

type Reached = Pick<Target, 'backend' | 'inEra' | 'perCaller'>

/** A server that the edge calls itself. */
export function reachOwn(
  server: ServerPlan,
  credential: Credential,
  era: Era,
  vault: Vault,
  sessions: Sessions,
  levels: Levels,
  env: Env,
): Reached {
  const up = upstream(server, credential, vault, env, ofRequest(network(env, server.allowPrivate)))
  if (server.transport === 'sse') return { backend: new SseBackend(up, env.SSE_SESSIONS, levels), inEra: undefined }
  const inEra = (at: Era): Backend => speak(up, at, sessions)
  return { backend: inEra(era), inEra }
}

/** A server in a cluster: its proxy gets the caller as an assertion for it alone. */
export function reachLinked(
  instance: InstancePlan,
  timeoutMs: number,
  era: Era,
  signer: AssertionSigner | undefined,
  sessions: Sessions,
  env: Env,
): Reached {
  const { server: key, cluster, url, audience, rules } = instance
  const link = linkFetch(env, cluster, key, timeoutMs)
  const up: Upstream = {
    server: key,
    url,
    account: key,
    transport: 'streamable-http',
    allowPrivate: true,
    allowLoopback: false,
    fetch: ofRequest(link),
    lasting: link,
    headers: async () => ({}),
  }
  const named = namedIn(rules)
  const inEra = (at: Era): Backend =>
    new AssertedBackend({
      upstream: up,
      assert: async (principal) => {
        if (signer !== undefined) return signer.caller(principal, audience, named)
        throw new Fault('backend_refused', `The edge has no key to tell server ${key} who calls.`, {
          data: { server: key },
          detail: 'ASSERTION_KEYS is not set',
        })
      },
      backend: (asserted) => speak(asserted, at, sessions),
    })
  return { backend: inEra(era), inEra, perCaller: true }
}

function speak(up: Upstream, era: Era, sessions: Sessions): Backend {
  return era === 'modern' ? new ModernBackend(up) : new LegacyBackend(up, sessions)
}
