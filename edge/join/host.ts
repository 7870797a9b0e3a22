// What joining needs, from what the isolate has; the book of clusters is one per isolate, for its requests and for its hubs.

import type { IssuerHost } from '../../gateway/auth/issuer.ts'
import { hubOf } from '../hub/fetch.ts'
import type { EdgeHost } from '../host.ts'
import { network } from '../upstream.ts'
import { ClusterBook } from './book.ts'
import { joinEvent } from './event.ts'
import { Nonces } from './nonce.ts'
import type { LinkHost } from './routes.ts'
import { ServiceAccounts } from './service-account.ts'
import { LinkSessions } from './session.ts'

const HUB_MS = 10_000

type Kept = Omit<LinkHost, 'audit'>

let shared: { readonly edge: EdgeHost; readonly kept: Kept } | undefined

/** The isolate's copy of the cluster entries. */
export function clusterBook(edge: EdgeHost): ClusterBook {
  return keep(edge).clusters
}

export function linkHost(edge: EdgeHost, defer: (work: Promise<unknown>) => void): LinkHost {
  return { ...keep(edge), audit: (attempt) => edge.trail.write(joinEvent(attempt, Date.now()), defer) }
}

function keep(edge: EdgeHost): Kept {
  if (shared?.edge !== edge) shared = { edge, kept: make(edge) }
  return shared.kept
}

function make(edge: EdgeHost): Kept {
  const { env, store, sealer } = edge
  const now = (): number => Date.now()
  const allowLoopback = env.ALLOW_LOOPBACK === 'true'
  const issuers: IssuerHost = { store, fetch: network(env, allowLoopback), allowLoopback, now }
  return {
    publicUrl: env.PUBLIC_URL,
    store,
    clusters: new ClusterBook(store, now),
    nonces: new Nonces(sealer, now),
    sessions: new LinkSessions(sealer, now),
    accounts: new ServiceAccounts(issuers, env.PUBLIC_URL),
    now,
    // A socket lives longer than the wait for it.
    hub: (cluster, path, init) => within(hubOf(env, cluster)(path, init)),
  }
}

async function within(answer: Promise<Response>): Promise<Response> {
  let timer: ReturnType<typeof setTimeout> | null = null
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('the hub does not answer')), HUB_MS)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
