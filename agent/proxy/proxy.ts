// A proxy without its ports: what it serves, and everything that serving needs, put together once.

import type { HttpBindings } from '@hono/node-server'
import type { Hono } from 'hono'
import { Sessions } from '../../gateway/backend/session.ts'
import type { Host } from '../../gateway/endpoint.ts'
import { InFlight } from '../../gateway/inflight.ts'
import { Levels } from '../../gateway/levels.ts'
import { Sealer } from '../../gateway/seal.ts'
import { ClientSessions } from '../../gateway/session.ts'
import { MemoryStore } from '../../gateway/store/memory.ts'
import type { AuditEvent } from '../../protocol/audit.ts'
import { LocalChannel } from './channel.ts'
import { front } from './front.ts'
import { News } from './internal.ts'
import { Issuers } from './issuers.ts'
import type { Keys } from './keys.ts'
import { Metrics } from './metrics.ts'
import type { SecretFiles } from './secrets.ts'
import { SseConnections } from './sse.ts'
import { State, type StateHost } from './state.ts'

export interface ProxyHost extends Keys {
  /** Who writes the audit events. */
  readonly component: string
  readonly secrets: SecretFiles
  readonly audit: (event: AuditEvent) => void
  /** Clients connected now. */
  readonly connections: () => number
  readonly reach?: StateHost['reach']
  /** The process is about to end: connections are given up after each answer. */
  readonly isEnding: () => boolean
}

export interface Proxy {
  readonly state: State
  readonly channel: LocalChannel
  /** Told whenever the endpoint is another one. */
  readonly news: News
  readonly metrics: Metrics
  /** What clients talk to. */
  readonly app: Hono<{ Bindings: HttpBindings }>
}

/** It serves once its `state` was given a run config. */
export function makeProxy(host: ProxyHost): Proxy {
  const now = Date.now
  const store = new MemoryStore(now)
  const sealer = new Sealer(host.sealing)
  const levels = new Levels(store, now)
  const news = new News()
  const channel: LocalChannel = new LocalChannel({
    store,
    sealer,
    now,
    revoked: () => false,
    endpoint: async () => state.endpoint,
    changed: (server) => state.hint(server),
  })
  const state: State = new State({
    sealer,
    signing: host.signing,
    issuers: new Issuers(store, host.secrets, now),
    secrets: host.secrets,
    sessions: new Sessions(store, sealer, levels, channel),
    sse: new SseConnections(levels, () => channel),
    now,
    ...(host.reach !== undefined && { reach: host.reach }),
    changed: () => {
      news.tell()
      channel.look()
    },
  })
  const metrics = new Metrics({
    connections: host.connections,
    servers: () => [...state.keepers].map(([server, keeper]) => [server, keeper.health.state] as const),
    isTool: (name) => state.endpoint?.catalog.find('tools', name) !== undefined,
  })
  const shared: Omit<Host, 'source'> = {
    component: host.component,
    endsWithClient: false,
    now,
    sealer,
    sessions: new ClientSessions(sealer, store, now),
    levels,
    inFlight: new InFlight(),
    channel,
    revoked: () => false,
    audit: (event) => {
      metrics.observe(event)
      if (state.config?.audit.enabled === true) host.audit(event)
    },
    changed: (server) => state.hint(server),
    defer: (work) => void work.catch(() => undefined),
  }
  const app = front({ state, pipeline: (source) => ({ ...shared, source }), isEnding: host.isEnding })
  return { state, channel, news, metrics, app }
}
