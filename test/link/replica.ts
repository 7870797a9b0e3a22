// One replica of an uplink as a process of its own, without Kubernetes: what it offers and whether it leads is told by its parent. The edge
// is reached through a relay, under its own name. It leads as one does with a lease: until a time that is put off again and again.

import { lookup } from 'node:dns'
import { Agent, buildConnector, fetch } from 'undici'
import { Catalogs } from '../../agent/uplink/catalogs.ts'
import { HttpDoors } from '../../agent/uplink/door.ts'
import { Identity } from '../../agent/uplink/identity.ts'
import { Sessions } from '../../agent/uplink/session.ts'
import type { Offer } from '../../agent/uplink/snapshot.ts'
import type { Published } from '../../plan/trim.ts'
import { Uplink } from '../../agent/uplink/uplink.ts'
import { fetchOver } from '../../agent/proxy/http.ts'
import { readResource } from '../../crds/cluster.ts'
import { AssertionSigner } from '../../gateway/auth/assertion-signer.ts'
import { identity as identityOf } from '../../plan/site.ts'
import type { Manifest } from '../peers/manifests.ts'
import { unwatched } from './watch.ts'

export interface ReplicaStart {
  readonly kind: 'start'
  readonly edge: string
  /** Port of the relay on loopback. */
  readonly relay: number
  readonly cluster: string
  readonly replica: string
  readonly identity: Parameters<typeof Identity.import>[0]
  /** Default: as in production. */
  readonly pingMs: number | undefined
  readonly servers: readonly {
    readonly manifest: Manifest
    /** Of its proxy. */
    readonly url: string
    readonly catalogUrl: string
  }[]
}

/** What the parent says. `until`: milliseconds since the epoch; the lease is no longer held from then on. */
export type ReplicaOrder = ReplicaStart | { readonly kind: 'lease'; readonly until: number }

/** What the replica says. */
export type ReplicaNews = { readonly kind: 'linked' | 'lost' | 'registered' | 'leading' | 'following' }

const tell = (kind: ReplicaNews['kind']): void => void process.send?.({ kind })

class RelayedSessions extends Sessions {
  readonly #edge: URL
  readonly #relay: number

  constructor(host: ConstructorParameters<typeof Sessions>[0], identity: Identity, relay: number) {
    super(host, identity)
    this.#edge = new URL(host.edge)
    this.#relay = relay
  }

  override async connection(...within: Parameters<Sessions['connection']>): ReturnType<Sessions['connection']> {
    const { url, headers, credential } = await super.connection(...within)
    const through = new URL(url)
    through.port = String(this.#relay)
    return { url: through.href, headers: { ...headers, host: this.#edge.host }, credential }
  }
}

async function start({ edge, relay, cluster, replica, identity, pingMs, servers }: ReplicaStart): Promise<Uplink> {
  const connector = buildConnector({ timeout: 4_000 })
  const dispatcher = new Agent({
    pipelining: 0,
    connect: (options, callback) => connector({ ...options, port: String(relay) }, callback),
  })
  const key = await Identity.import(identity)
  const signer = new AssertionSigner(`${cluster}/uplink`, { kid: key.thumbprint, key: key.export() }, Date.now)
  const doors = new HttpDoors()
  const offers = new Map<string, Offer>()
  const byName = new Map(servers.map((one) => [one.manifest.metadata.name, one]))
  const catalogs = new Catalogs({
    assertion: (audience) => signer.catalog(audience),
    changed: (name) => {
      offers.delete(name)
      uplink.changed()
    },
    fetch: fetchOver({ lookup, ca: undefined }),
  })
  const offerOf = (name: string, manifest: Manifest): Offer => {
    const known = offers.get(name)
    if (known !== undefined) return known
    const reading = readResource(manifest)
    if (!reading.ok) throw new Error(`${name}: ${JSON.stringify(reading)}`)
    const made = { resource: reading.resource as Published, uid: `uid-${name}`, catalog: catalogs.text(name) }
    offers.set(name, made)
    return made
  }
  const request = async (url: string, { method, headers, body, signal }: RequestInit): Promise<Response> =>
    fetch(url, {
      method: method ?? 'GET',
      headers: headers as Record<string, string>,
      dispatcher,
      ...(typeof body === 'string' && { body }),
      ...(signal instanceof AbortSignal && { signal }),
    })
  const uplink: Uplink = new Uplink({
    fleet: {
      offers: () => [...byName].map(([name, { manifest }]) => offerOf(name, manifest)),
      door: ({ name }) => {
        const server = byName.get(name)
        return server === undefined ? undefined : doors.door(server.url)
      },
    },
    sessions: new RelayedSessions({ edge, cluster, replica, fetch: request, now: Date.now }, key, relay),
    replica,
    version: '0.1.0',
    ca: undefined,
    ...(pingMs !== undefined && { pacing: { pingMs } }),
    watch: {
      ...unwatched,
      linked: () => tell('linked'),
      lost: (reason) => {
        console.log(`lost: ${reason}`)
        tell('lost')
      },
      registered: ({ dropped }) => {
        for (const one of dropped.values()) console.log(`dropped: ${JSON.stringify(one)}`)
        tell('registered')
      },
      failed: (what, error) => console.log(`${what}: ${String(error)}`),
    },
  })
  for (const [name, { manifest, catalogUrl }] of byName) {
    const { namespace } = manifest.metadata
    const audience = identityOf({ cluster, kind: manifest.kind, namespace, name })
    catalogs.follow({ key: name, server: `${namespace}/${name}`, url: catalogUrl, audience })
  }
  await catalogs.seen(5_000)
  void uplink.run(new AbortController().signal, 0)
  return uplink
}

let running: Promise<Uplink> | undefined
let ends: NodeJS.Timeout | undefined

async function lease(until: number): Promise<void> {
  const uplink = await running
  clearTimeout(ends)
  const left = until - Date.now()
  if (left <= 0) return
  uplink?.lead(true)
  tell('leading')
  ends = setTimeout(() => {
    uplink?.lead(false)
    tell('following')
  }, left)
}

process.on('message', (order: ReplicaOrder) => {
  if (order.kind === 'start') running = start(order)
  else void lease(order.until)
})
process.on('disconnect', () => process.exit())
