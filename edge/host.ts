// Everything one isolate shares between its requests, made once from the environment: store, keys, state, audit trail.

import { DEFAULT_ALGORITHMS } from '../gateway/auth/issuer.ts'
import { Guard } from '../gateway/auth/guard.ts'
import type { Channel } from '../gateway/channel/channel.ts'
import { InFlight } from '../gateway/inflight.ts'
import { Levels } from '../gateway/levels.ts'
import { Lru } from '../gateway/lru.ts'
import type { Store } from '../gateway/ports.ts'
import { Sealer, keyRing, type KeyRing } from '../gateway/seal.ts'
import { ClientSessions } from '../gateway/session.ts'
import { assertionSigner } from './assertions.ts'
import { AuditTrail } from './audit.ts'
import { EdgeChannel } from './channel.ts'
import { Endpoints } from './endpoints.ts'
import type { Env } from './env.ts'
import type { IssuerPlan } from '../plan/issuer.ts'
import { Issuers } from './issuers.ts'
import { State } from './state.ts'
import { DurableStore } from './store/durable.ts'
import { UpstashStore } from './store/upstash.ts'
import { network } from './upstream.ts'

export interface EdgeHost {
  readonly env: Env
  readonly store: Store
  readonly sealer: Sealer
  readonly vaultKeys: KeyRing
  readonly state: State
  readonly endpoints: Endpoints
  readonly adminGuard: Guard
  readonly sessions: ClientSessions
  readonly levels: Levels
  readonly inFlight: InFlight
  readonly channel: Channel
  readonly trail: AuditTrail
  readonly announced: Announced
  newState(): State
}

const ANNOUNCE_MS = 2_000

/** Servers lately reported as changed: each is passed on at most once per interval, however often calls say so. */
class Announced {
  readonly #at = new Lru<string, number>(4096)

  offer(server: string, at: number): boolean {
    if (at - (this.#at.get(server) ?? 0) < ANNOUNCE_MS) return false
    this.#at.set(server, at)
    return true
  }
}

let shared: EdgeHost | undefined

/** The isolate's host. Throws an Error that names the setting when the environment is not usable. */
export function hostFor(env: Env): EdgeHost {
  shared ??= make(env)
  return shared
}

const now = (): number => Date.now()

function make(env: Env): EdgeHost {
  if (!URL.canParse(env.PUBLIC_URL ?? '')) throw new Error('PUBLIC_URL must be the URL where clients reach this edge')
  const store = storeFor(env)
  const sealer = new Sealer(keyRing(env.SEALING_KEYS ?? '', 'SEALING_KEYS'))
  const vaultKeys = keyRing(env.VAULT_KEYS ?? '', 'VAULT_KEYS')
  const allowLoopback = env.ALLOW_LOOPBACK === 'true'
  const defaultIssuer = issuerPlan(env.OIDC_ISSUER, allowLoopback)
  const levels = new Levels(store, now)
  const channel = new EdgeChannel(env.CHANNELS)
  const assertions = assertionSigner(env, now)
  const newState = () => new State({ store, defaultIssuer, now })
  const state = newState()
  const issuers = new Issuers(
    { store, fetch: network(env, allowLoopback), allowLoopback, now },
    vaultKeys,
    () => state.secrets,
  )
  const made = { env, state, store, sealer, levels, channel, assertions, vaultKeys, issuers, defaultIssuer, now }
  const adminIssuer = issuerPlan(env.ADMIN_ISSUER, allowLoopback) ?? defaultIssuer
  const resource = `${env.PUBLIC_URL}/admin`
  const adminGuard = new Guard(
    {
      issuers: adminIssuer === undefined ? [] : [issuers.keys(adminIssuer)],
      audience: resource,
      scopes: ['waggle:admin'],
      resource,
      metadataUrl: `${env.PUBLIC_URL}/.well-known/oauth-protected-resource/admin`,
    },
    now,
  )
  return {
    env,
    store,
    sealer,
    vaultKeys,
    state,
    endpoints: new Endpoints(made),
    adminGuard,
    sessions: new ClientSessions(sealer, store, now),
    levels,
    inFlight: new InFlight(),
    channel,
    trail: new AuditTrail(Number(env.AUDIT_BATCH_MS ?? 0) || 0),
    announced: new Announced(),
    newState,
  }
}

function storeFor(env: Env): Store {
  const { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token, PRIVATE_NETWORK: inside } = env
  if (url === undefined || url === '' || token === undefined) return new DurableStore(env.STORE)
  // A store of one's own may be on a private network; the public one would not reach it.
  return new UpstashStore({
    url,
    token,
    ...(inside !== undefined && { fetch: (input, init) => inside.fetch(input, init) }),
  })
}

function issuerPlan(issuer: string | undefined, allowLoopback: boolean): IssuerPlan | undefined {
  if (issuer === undefined || issuer === '') return undefined
  return {
    issuer,
    jwksUrl: undefined,
    introspectionUrl: undefined,
    clientId: undefined,
    clientSecret: undefined,
    algorithms: DEFAULT_ALGORITHMS,
    clockSkewSeconds: 60,
    groupsClaim: 'groups',
    allowHttp: allowLoopback,
    allowPrivate: allowLoopback,
    ca: undefined,
    clusterAuth: false,
    subjects: undefined,
  }
}
