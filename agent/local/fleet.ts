// The fleet of a folder of manifests: every server behind a proxy of its own in this process, with the run config that an operator would
// have written. A call comes from the link and goes to the proxy's own handler: tokens, assertions, policies and audit are those of a cluster.

import { fingerprint } from '../../gateway/catalog/hash.ts'
import type { Fetch } from '../../gateway/backend/upstream.ts'
import { endpointUrl } from '../../plan/address.ts'
import { planEndpoint } from '../../plan/cluster.ts'
import { isServer } from '../../plan/members.ts'
import type { Resource, Resources } from '../../plan/resources.ts'
import type { Site } from '../../plan/site.ts'
import type { AuditEvent } from '../../protocol/audit.ts'
import type { CallTarget } from '../../protocol/link.ts'
import { itemKey } from '../../protocol/snapshot.ts'
import { published } from '../proxy/internal.ts'
import { readKeys, type Keys } from '../proxy/keys.ts'
import { makeProxy, type Proxy } from '../proxy/proxy.ts'
import { SecretFiles } from '../proxy/secrets.ts'
import type { RunConfig, Signer } from '../run-config.ts'
import { isSnapshotKind, kept } from '../uplink/offers.ts'
import { inward, outward, type Door, type DoorRequest } from '../uplink/door.ts'
import type { Offer } from '../uplink/snapshot.ts'
import type { Published } from '../../plan/trim.ts'
import type { Fleet } from '../uplink/uplink.ts'

type Proxied = Extract<Resource, { kind: 'MCPServer' | 'MCPRemoteProxy' }>

export interface LocalHost {
  readonly cluster: string
  /** `<Secret>/<key>` below a folder of the namespace's name. */
  readonly secrets: string
  /** Hosts and addresses that may be called although they are private. */
  readonly egressAllow: readonly string[]
  readonly audit: (event: AuditEvent) => void
  /** The way to a server that is a process; undefined for those at a URL. */
  readonly reach: (server: Proxied) => Fetch | undefined
  /** What is offered may be different. */
  readonly changed: () => void
}

interface Running {
  readonly resource: Proxied
  readonly proxy: Proxy
}

export class LocalFleet implements Fleet {
  readonly #host: LocalHost
  readonly #keys: Keys
  readonly #running = new Map<string, Running>()
  #resources: Resources = new Map()
  #signers: readonly Signer[] = []
  #offers = new Map<Resource, Offer>()

  private constructor(host: LocalHost, keys: Keys) {
    this.#host = host
    this.#keys = keys
  }

  static async make(host: LocalHost): Promise<LocalFleet> {
    return new LocalFleet(host, await readKeys('/nowhere'))
  }

  /** Runs what these resources say, and lets go of what they do not say any more. Servers that changed are asked anew. */
  apply(resources: Resources): void {
    this.#resources = resources
    this.#plan()
  }

  /** Whose word about callers is believed: the edge's, once its keys are known. */
  trust(signers: readonly Signer[]): void {
    if (JSON.stringify(signers) === JSON.stringify(this.#signers)) return
    this.#signers = signers
    this.#plan()
  }

  /** Servers with what is wrong with them, for whoever started this. */
  health(): { readonly server: string; readonly state: string; readonly message: string | undefined }[] {
    return [...this.#running.values()].flatMap(({ proxy }) =>
      [...proxy.state.keepers].map(([server, { health }]) => ({
        server,
        state: health.state,
        message: health.message,
      })),
    )
  }

  readonly offers = (): Iterable<Offer> => {
    const next = new Map<Resource, Offer>()
    for (const [key, resource] of this.#resources) {
      if (!isPublished(resource)) continue
      const running = this.#running.get(key)
      const catalog = running === undefined ? undefined : published(running.proxy.state)?.text
      const known = this.#offers.get(resource)
      const uid = fingerprint(key)
      next.set(resource, known !== undefined && known.catalog === catalog ? known : { resource, uid, catalog })
    }
    this.#offers = next
    return next.values()
  }

  readonly door = (target: CallTarget): Door | undefined => {
    if (!isSnapshotKind(target.kind)) return undefined
    const running = this.#running.get(itemKey({ ...target, kind: target.kind }))
    if (running === undefined || !isPublished(running.resource)) return undefined
    const { proxy, resource } = running
    return (request) => pass(proxy, endpointUrl(resource), request)
  }

  close(): void {
    for (const { proxy } of this.#running.values()) close(proxy)
    this.#running.clear()
  }

  /** Gives every proxy what it is to do now. */
  #plan(): void {
    const resources = this.#resources
    const wanted = new Map([...resources].filter((entry): entry is [string, Proxied] => isProxied(entry[1])))
    for (const [key, { proxy }] of this.#running) {
      if (wanted.has(key)) continue
      close(proxy)
      this.#running.delete(key)
    }
    for (const [key, resource] of wanted) {
      const known = this.#running.get(key)
      const proxy = known?.proxy ?? this.#make(key, resource.metadata.namespace)
      this.#running.set(key, { resource, proxy })
      proxy.state.apply(this.#runConfig(resource))
      if (known !== undefined && JSON.stringify(known.resource.spec) !== JSON.stringify(resource.spec))
        for (const server of proxy.state.keepers.keys()) proxy.state.hint(server)
    }
    this.#host.changed()
  }

  #make(key: string, namespace: string): Proxy {
    const { secrets, audit, reach, changed } = this.#host
    const proxy = makeProxy({
      ...this.#keys,
      component: 'proxy',
      secrets: new SecretFiles(`${secrets}/${namespace}`),
      audit,
      connections: () => 0,
      isEnding: () => false,
      reach: () => {
        const running = this.#running.get(key)
        return running === undefined ? undefined : reach(running.resource)
      },
    })
    const follow = async (): Promise<void> => {
      while (await proxy.news.next(NEWS_MS, new AbortController().signal)) changed()
    }
    void follow()
    return proxy
  }

  #runConfig(resource: Proxied): RunConfig {
    const { cluster, egressAllow } = this.#host
    const { kind, metadata } = resource
    const { namespace, name } = metadata
    return {
      format: 1,
      self: { cluster, kind, namespace, name },
      port: 0,
      prefix: '',
      url: endpointUrl(resource),
      trustProxyHeaders: false,
      ...planEndpoint(resource, this.#resources, siteOf(cluster)),
      signers: kept(resource) === undefined ? this.#signers : [],
      egressAllow,
      extraCa: '',
      audit: { enabled: true },
    }
  }
}

/** How long a proxy waits for its own news before it asks again; the answer is the same. */
const NEWS_MS = 3_600_000

/** Nobody connects to these proxies but the link, so that nobody needs to be admitted otherwise. */
const siteOf = (cluster: string): Site => ({
  cluster,
  defaultIssuer: undefined,
  defaultAudience: undefined,
  open: false,
  proxies: true,
  serviceAccounts: false,
  processes: true,
  fleets: undefined,
  configMap: () => undefined,
})

function isProxied(resource: Resource): resource is Proxied {
  return isServer(resource) && resource.kind !== 'MCPServerEntry'
}

function isPublished(resource: Resource): resource is Published {
  return isSnapshotKind(resource.kind) && kept(resource as Published) === undefined
}

function close({ state, channel, news }: Proxy): void {
  news.end()
  channel.close()
  state.close()
}

/** A call of the link as a request to the proxy's own handler. */
async function pass({ app }: Proxy, url: string, { method, headers, body, signal }: DoorRequest) {
  const request = new Request(url, {
    method,
    headers: inward(headers),
    signal,
    ...(body !== undefined && { body: body instanceof Uint8Array ? body : ReadableStream.from(body), duplex: 'half' }),
  })
  const response = await app.fetch(request, { incoming: { socket: {} }, outgoing: {} })
  return { status: response.status, headers: outward(response.headers), body: response.body ?? nothing() }
}

async function* nothing(): AsyncGenerator<Uint8Array, void, void> {}
