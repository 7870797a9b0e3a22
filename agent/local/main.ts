// The role `local`: a folder of manifests without Kubernetes, joined to an edge over the same link as a cluster.

import { watch, type FSWatcher } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { EDGE } from '../../plan/site.ts'
import { IMPLEMENTATION } from '../../protocol/revision.ts'
import { AuditTrail } from '../proxy/audit.ts'
import { log, reasonOf } from '../proxy/log.ts'
import { edgeFetch } from '../uplink/edge-fetch.ts'
import { Sessions } from '../uplink/session.ts'
import { Uplink, type Watch } from '../uplink/uplink.ts'
import { followEdgeKeys } from './edge-keys.ts'
import { LocalFleet } from './fleet.ts'
import { readFolder } from './folder.ts'
import { keepIdentity } from './identity.ts'
import { Processes } from './processes.ts'
import type { LocalSettings } from './settings.ts'

const SETTLE_MS = 200
const GRACE_MS = 5_000
const HEALTH_MS = 2_000

/** Runs until the signal aborts. Throws when the settings or the manifests cannot be used. */
export async function run(settings: LocalSettings, signal: AbortSignal): Promise<void> {
  const { folder, edge, cluster, joinToken, state, secrets, egressAllow } = settings
  const trail = new AuditTrail()
  const fetch = edgeFetch(undefined)
  const identity = await keepIdentity(state)
  const replica = crypto.randomUUID()
  const processes = new Processes({ folder, secrets, said: (server, line) => log('info', 'said', { server, line }) })
  const fleet: LocalFleet = await LocalFleet.make({
    cluster,
    secrets,
    egressAllow,
    audit: (event) => trail.write(event),
    reach: processes.reach,
    changed: () => uplink.changed(),
  })
  const token = async (path: string): Promise<string | undefined> =>
    readFile(path, 'utf8').catch((error: unknown) => {
      log('warn', 'join_token_unreadable', { reason: reasonOf(error) })
      return undefined
    })
  const uplink: Uplink = new Uplink({
    fleet,
    sessions: new Sessions(
      {
        edge,
        cluster,
        replica,
        fetch,
        now: Date.now,
        ...(joinToken !== undefined && { joinToken: async () => token(joinToken) }),
      },
      identity,
    ),
    replica,
    version: IMPLEMENTATION.version,
    ca: undefined,
    watch: told,
  })
  const load = async (): Promise<boolean> => {
    const reading = await readFolder(folder)
    if (!reading.ok) {
      for (const reason of reading.problems.slice(0, 20))
        log('error', 'manifest_refused', { reason: reason.slice(0, 500) })
      return false
    }
    fleet.apply(reading.resources)
    processes.keep(reading.resources)
    return true
  }
  if (!(await load())) throw new Error(`the manifests in ${folder} cannot be used`)
  uplink.lead(true)
  const files = follow(folder, async () => {
    if (await load()) log('info', 'manifests_taken_up')
    else log('warn', 'manifests_kept', { reason: 'what was read before goes on' })
  })
  const states = new Map<string, string>()
  const health = setInterval(() => tell(fleet, states), HEALTH_MS)
  try {
    await Promise.all([
      uplink.run(signal, GRACE_MS),
      followEdgeKeys(
        {
          edge,
          fetch,
          found: (jwks) => fleet.trust([{ issuer: EDGE, uses: ['call'], jwks }]),
          failed: (error) => log('warn', 'edge_keys', { reason: reasonOf(error) }),
        },
        signal,
      ),
    ])
  } finally {
    clearInterval(health)
    files.close()
    fleet.close()
    await processes.close()
    trail.flush()
  }
}

const told: Watch = {
  linked: () => log('info', 'linked'),
  lost: (reason) => log('warn', 'not_linked', { reason }),
  registered: ({ uids, dropped }) => {
    log('info', 'registered', { resources: uids.size - dropped.size })
    for (const { key, reason, message } of dropped.values()) log('warn', 'not_listed', { key, reason, message })
  },
  observe: () => undefined,
  latency: () => undefined,
  failed: (what, error) => log('warn', what, { reason: reasonOf(error) }),
}

/** Calls back after every change in a folder, one call at a time. */
function follow(folder: string, changed: () => Promise<void>): { close(): void } {
  let settling: NodeJS.Timeout | undefined
  let work = Promise.resolve()
  const soon = (): void => {
    clearTimeout(settling)
    settling = setTimeout(() => {
      work = work.then(changed).catch((error: unknown) => log('error', 'manifests', { reason: reasonOf(error) }))
    }, SETTLE_MS)
  }
  let watcher: FSWatcher | undefined
  const blind = (error: unknown): void => log('warn', 'manifests_not_watched', { reason: reasonOf(error) })
  try {
    watcher = watch(folder).on('change', soon).on('error', blind)
  } catch (error) {
    blind(error)
  }
  return {
    close: () => {
      clearTimeout(settling)
      watcher?.close()
    },
  }
}

/** Says once how each server is, and again when that is different; `states` is what was said. */
function tell(fleet: LocalFleet, states: Map<string, string>): void {
  for (const { server, state, message = '' } of fleet.health()) {
    if (state === 'unknown' || states.get(server) === `${state} ${message}`) continue
    states.set(server, `${state} ${message}`)
    if (state === 'ok') log('info', 'server_ok', { server })
    else log('warn', 'server_failed', { server, reason: message })
  }
}
