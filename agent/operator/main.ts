// The role `operator`: reads its settings, watches, waits to lead, writes, and lets go when it is told to end.
// Exit codes: 0 after a signal, 1 when leadership is lost or the settings are wrong.

import { hostname } from 'node:os'
import { reading } from '../environment.ts'
import { findAccess, type Access } from '../kube/access.ts'
import { KubeClient } from '../kube/client.ts'
import { aborted, sleep, systemClock } from '../kube/clock.ts'
import { Health } from '../kube/health.ts'
import { LeaderElection } from '../kube/leader.ts'
import { KubeMetrics } from '../kube/metrics.ts'
import { servePod } from '../kube/page.ts'
import { readSettings } from './configuration.ts'
import { EdgeKeys } from './edge-keys.ts'
import { MANAGER, Operator } from './operator.ts'
import { rival } from './takeover.ts'

const LOOK_AGAIN_MS = 5_000
const METRICS_PORT = 8080
const HEALTH_PORT = 8081

/** Runs until the signal aborts. Throws when the settings are wrong or leadership is lost. */
export async function run(
  signal: AbortSignal,
  environment: NodeJS.ProcessEnv = process.env,
  given?: Access,
): Promise<void> {
  const settings = readSettings(environment)
  const { text, port } = reading(environment)
  const instance = text('POD_NAME') ?? hostname()
  const access = given ?? (await findAccess(environment))
  const metrics = new KubeMetrics()
  const client = new KubeClient(access, { metrics, connections: 8 })
  const operator = new Operator({
    client,
    settings,
    instance,
    metrics,
    onError: (what, error) => log('warn', what, error),
  })
  const health = new Health()
  let hindrance: string | undefined = 'starting'
  health.addReady('start', () => hindrance)
  for (const informer of operator.informers.all) {
    health.addInformer(informer)
    metrics.observe(informer)
  }
  const pages = await servePod({
    health,
    healthPort: port('WAGGLE_HEALTH_PORT', HEALTH_PORT),
    registry: metrics.registry,
    metricsPort: port('WAGGLE_METRICS_PORT', METRICS_PORT),
  })
  try {
    if (!settings.takeOver) {
      for (;;) {
        const other = await rival(client, settings, Date.now(), signal).catch((error: unknown) => {
          log('warn', 'looking for a ToolHive operator', error)
          return 'the API server could not be asked'
        })
        signal.throwIfAborted()
        if (other === undefined) break
        hindrance = `${other}: not started beside a ToolHive operator; remove it, or set operator.takeOver to take over what it made`
        log('error', hindrance)
        await sleep(systemClock, LOOK_AGAIN_MS, signal)
      }
    }
    hindrance = undefined
    await operator.watch(signal)
    log('info', 'watching')
    const election = new LeaderElection(new KubeClient(access, { metrics, connections: 1 }), {
      namespace: settings.namespace,
      name: text('WAGGLE_LEASE') ?? 'waggle-agent-leader',
      identity: instance,
      onError: (error) => log('warn', 'leader election', error),
    })
    const leadership = await election.acquire(signal)
    log('info', 'leading')
    metrics.leads(true)
    operator.lead(leadership.fence)
    const { edge } = settings
    if (edge !== undefined)
      void new EdgeKeys({
        client: client.fenced(leadership.fence),
        settings: { ...settings, edge },
        manager: MANAGER,
        onError: (error) => log('warn', 'fetching the keys of the edge; servers believe those of before', error),
      }).follow(AbortSignal.any([signal, leadership.fence.signal]))
    await aborted(AbortSignal.any([signal, leadership.fence.signal]))
    metrics.leads(false)
    if (!signal.aborted) throw new Error('leadership was lost')
    await operator.stop()
    await leadership.release()
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    await Promise.all(pages.map((server) => server.close()))
    await client.close()
  }
}

/** One line of JSON on stderr; messages of errors only, never what was sent. */
function log(level: 'info' | 'warn' | 'error', message: string, error?: unknown): void {
  const why = error === undefined ? undefined : error instanceof Error ? error.message : 'unknown error'
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, message, error: why })}\n`)
}
