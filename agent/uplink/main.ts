// The role `uplink`: joins the edge, carries calls to the proxies of the cluster, and, on the one replica that leads, publishes and writes
// conditions. The edge being away makes no pod unready.

import { readFile } from 'node:fs/promises'
import { AssertionSigner } from '../../gateway/auth/assertion-signer.ts'
import { uplinkIdentity } from '../../plan/site.ts'
import { IMPLEMENTATION } from '../../protocol/revision.ts'
import { findAccess, type Access } from '../kube/access.ts'
import { KubeClient } from '../kube/client.ts'
import { aborted } from '../kube/clock.ts'
import { Health } from '../kube/health.ts'
import { LeaderElection } from '../kube/leader.ts'
import { KubeMetrics } from '../kube/metrics.ts'
import { servePod, type PageServer } from '../kube/page.ts'
import { log, reasonOf } from '../proxy/log.ts'
import { Cluster } from './cluster.ts'
import { Conditions } from './conditions.ts'
import { HttpDoors } from './door.ts'
import { edgeFetch, trusted } from './edge-fetch.ts'
import type { Identity } from './identity.ts'
import { keepIdentity } from './keys.ts'
import { UplinkMetrics } from './metrics.ts'
import type { Report } from './publisher.ts'
import { keepRotating } from './rotation.ts'
import { Sessions, type SessionHost } from './session.ts'
import { readUplinkSettings, type UplinkSettings } from './settings.ts'
import { Uplink } from './uplink.ts'

/** Catalogs that are not known by then are published when they are. */
const FIRST_LOOK_MS = 2_000

/** Runs until the signal aborts, then ends in order. Throws when the settings are wrong. */
export async function run(
  signal: AbortSignal,
  environment: NodeJS.ProcessEnv = process.env,
  given?: Access,
): Promise<void> {
  const settings = readUplinkSettings(environment)
  const access = given ?? (await findAccess(environment))
  const kube = new KubeMetrics()
  const client = new KubeClient(access, { metrics: kube, connections: 6, rate: { perSecond: 50, burst: 100 } })
  const watching = new AbortController()
  const doors = new HttpDoors()
  const failed = (what: string, error: unknown): void => log('warn', what, { reason: reasonOf(error) })
  const pages: PageServer[] = []
  let closing: (() => void) | undefined
  const health = new Health()
  let hindrance: string | undefined = 'there is no key yet'
  health.addReady('start', () => hindrance)
  try {
    const { healthPort, metricsPort } = settings
    pages.push(...(await servePod({ health, healthPort, registry: kube.registry, metricsPort })))
    const identity = await keepIdentity(client, settings, (error) => failed('identity', error), signal)
    let signer = signerOf(settings, identity)
    let conditions: Conditions | undefined
    const cluster: Cluster = new Cluster({
      client,
      cluster: settings.cluster,
      namespaces: settings.namespaces,
      doors,
      assertion: (audience) => signer.catalog(audience),
      changed: () => uplink.changed(),
      touched: (itemKey) => conditions?.touched(itemKey),
      metrics: kube,
      onError: (error) => failed('watch', error),
    })
    closing = () => cluster.close()
    const ca = await trusted(settings.extraCa)
    const sessions = new Sessions(sessionHost(settings, ca), identity)
    const watch = {
      linked: () => {
        log('info', 'linked')
        conditions?.linked()
      },
      lost: (reason: string) => {
        log('warn', 'not_linked', { reason })
        metrics.lost()
        if (uplink.links === 0) conditions?.lost()
      },
      registered: (report: Report) => {
        metrics.dropped([...report.dropped.values()].map((one) => one.reason))
        conditions?.registered(report)
      },
      observe: (call: Parameters<UplinkMetrics['call']>[0]) => metrics.call(call),
      latency: (seconds: number) => metrics.ping(seconds),
      failed,
    }
    const uplink: Uplink = new Uplink({
      fleet: cluster,
      sessions,
      replica: settings.replica,
      version: IMPLEMENTATION.version,
      ca,
      watch,
    })
    const metrics = new UplinkMetrics(kube.registry, {
      links: () => uplink.links,
      calls: () => uplink.calls,
      seq: () => uplink.published?.seq ?? 0,
      catalogs: () => cluster.catalogs.states(),
    })
    for (const informer of cluster.informers.values()) {
      health.addInformer(informer)
      kube.observe(informer)
    }
    hindrance = undefined
    await Promise.race([cluster.watch(watching.signal), aborted(signal)])
    signal.throwIfAborted()
    log('info', 'watching')
    const rotating = keepRotating(
      {
        client,
        places: settings,
        sessions,
        rotates: () => settings.joinToken !== undefined && conditions !== undefined,
        changed: (next) => {
          log('info', 'identity_changed')
          signer = signerOf(settings, next)
          sessions.use(next)
        },
        failed: (error) => failed('identity', error),
      },
      signal,
    )
    await Promise.all([uplink.run(signal, settings.graceMs), lead(), rotating])
    log('info', 'ended')

    /** Leads whenever it may, until the signal aborts. Losing the lease ends no call. */
    async function lead(): Promise<void> {
      const election = new LeaderElection(new KubeClient(access, { metrics: kube, connections: 1 }), {
        namespace: settings.namespace,
        name: settings.lease,
        identity: settings.pod,
        onError: (error) => failed('leader election', error),
      })
      await cluster.catalogs.seen(FIRST_LOOK_MS)
      while (!signal.aborted) {
        const leadership = await election.acquire(signal).catch(() => undefined)
        if (leadership === undefined) return
        const { fence } = leadership
        log('info', 'leading')
        kube.leads(true)
        conditions = new Conditions({ client, cluster, fence, metrics: kube, onError: failed }, uplink.links > 0)
        uplink.lead(true)
        await aborted(AbortSignal.any([signal, fence.signal]))
        uplink.lead(false)
        kube.leads(false)
        const ended = conditions
        conditions = undefined
        await ended.stop()
        await leadership.release()
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    watching.abort()
    closing?.()
    await Promise.all(pages.map((page) => page.close()))
    await doors.close()
    await client.close()
  }
}

function signerOf({ cluster }: UplinkSettings, identity: Identity): AssertionSigner {
  return new AssertionSigner(uplinkIdentity(cluster), { kid: identity.thumbprint, key: identity.export() }, Date.now)
}

function sessionHost(settings: UplinkSettings, ca: readonly string[] | undefined): SessionHost {
  const { edge, cluster, replica, accountToken, joinToken } = settings
  return {
    edge,
    cluster,
    replica,
    fetch: edgeFetch(ca),
    now: Date.now,
    // The kubelet replaces what is in the file.
    ...(accountToken !== undefined && { accountToken: async () => (await readFile(accountToken, 'utf8')).trim() }),
    ...(joinToken !== undefined && { joinToken: () => readFile(joinToken, 'utf8').then(trimmed, () => undefined) }),
  }
}

function trimmed(text: string): string | undefined {
  return text.trim() === '' ? undefined : text.trim()
}
