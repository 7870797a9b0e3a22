// The role `local`: a folder of manifests without Kubernetes, joined to an edge over the same link as a cluster.

import { watch } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import type { JSONWebKeySet } from 'jose'
import { readBounded } from '../../gateway/bounded.ts'
import { IMPLEMENTATION } from '../../protocol/revision.ts'
import { sleep, systemClock } from '../kube/clock.ts'
import { readJwks } from '../operator/jwks.ts'
import { AuditTrail } from '../proxy/audit.ts'
import { log, reasonOf } from '../proxy/log.ts'
import { edgeFetch, type EdgeFetch } from '../uplink/edge-fetch.ts'
import { Identity } from '../uplink/identity.ts'
import { Sessions } from '../uplink/session.ts'
import { Uplink } from '../uplink/uplink.ts'
import { LocalFleet } from './fleet.ts'
import { readFolder } from './folder.ts'
import { Processes } from './processes.ts'

const KEYS_EVERY_MS = 5 * 60_000
const RETRY_MS = 2_000
const SETTLE_MS = 200
const GRACE_MS = 5_000
const MAX_KEYS_BODY = 64 * 1024

export interface LocalSettings {
  readonly folder: string
  /** Without a trailing slash. */
  readonly edge: string
  readonly cluster: string
  readonly joinToken: string | undefined
  readonly state: string
  readonly secrets: string
  readonly egressAllow: readonly string[]
}

export function readLocalSettings(args: readonly string[]): LocalSettings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      file: { type: 'string', short: 'f' },
      edge: { type: 'string' },
      cluster: { type: 'string' },
      'join-token-file': { type: 'string' },
      state: { type: 'string', default: '.waggle/local' },
      secrets: { type: 'string' },
      'egress-allow': { type: 'string', multiple: true, default: [] },
    },
  })
  const { file, edge, cluster, state, secrets } = values
  if (file === undefined) throw new Error('-f must name the folder with the manifests')
  if (edge === undefined || !URL.canParse(edge)) throw new Error('--edge must be the URL of the edge')
  if (cluster === undefined) throw new Error('--cluster must be the name that `waggle cluster add` was given')
  return {
    folder: resolve(file),
    edge: edge.replace(/\/+$/u, ''),
    cluster,
    joinToken: values['join-token-file'],
    state: resolve(state),
    secrets: resolve(secrets ?? join(state, 'secrets')),
    egressAllow: values['egress-allow'],
  }
}

/** Runs until the signal aborts. Throws when the settings or all manifests are wrong. */
export async function run(args: readonly string[], signal: AbortSignal): Promise<void> {
  const settings = readLocalSettings(args)
  const { folder, edge, cluster, joinToken, state, secrets, egressAllow } = settings
  const trail = new AuditTrail()
  const fetch = edgeFetch(undefined)
  const identity = await keepIdentity(state)
  const processes = new Processes({ folder, secrets, said: (server, line) => log('info', 'said', { server, line }) })
  const fleet: LocalFleet = await LocalFleet.make({
    cluster,
    secrets,
    egressAllow,
    audit: (event) => trail.write(event),
    reach: processes.reach,
    changed: () => uplink.changed(),
  })
  const uplink: Uplink = new Uplink({
    fleet,
    sessions: new Sessions(
      {
        edge,
        cluster,
        replica: crypto.randomUUID(),
        fetch,
        now: Date.now,
        ...(joinToken !== undefined && { joinToken: () => readFile(joinToken, 'utf8').catch(() => undefined) }),
      },
      identity,
    ),
    replica: `local-${process.pid}`,
    version: IMPLEMENTATION.version,
    ca: undefined,
    watch: {
      linked: () => log('info', 'linked'),
      lost: (reason) => log('warn', 'not_linked', { reason }),
      registered: ({ uids, dropped }) => {
        log('info', 'registered', { resources: uids.size - dropped.size })
        for (const { key, reason, message } of dropped.values()) log('warn', 'not_listed', { key, reason, message })
      },
      observe: () => undefined,
      latency: () => undefined,
      failed: (what, error) => log('warn', what, { reason: reasonOf(error) }),
    },
  })
  const load = async (): Promise<void> => {
    try {
      const { resources, problems } = await readFolder(folder)
      for (const problem of problems) log('error', 'manifest_refused', { reason: problem })
      fleet.apply(resources)
      processes.keep(resources)
    } catch (error) {
      log('error', 'manifests_unreadable', { reason: reasonOf(error) })
    }
  }
  uplink.lead(true)
  await load()
  const files = watch(folder, { recursive: true })
  let settling: NodeJS.Timeout | undefined
  files.on('change', () => {
    clearTimeout(settling)
    settling = setTimeout(() => void load(), SETTLE_MS)
  })
  try {
    await Promise.all([uplink.run(signal, GRACE_MS), followKeys(fleet, edge, fetch, signal)])
  } finally {
    files.close()
    clearTimeout(settling)
    fleet.close()
    await processes.close()
    trail.flush()
  }
}

/** Whom the proxies believe: the edge, by the keys that it publishes. */
async function followKeys(fleet: LocalFleet, edge: string, fetch: EdgeFetch, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    let wait = KEYS_EVERY_MS
    try {
      const jwks = await edgeKeys(edge, fetch, signal)
      fleet.trust([{ issuer: 'edge', uses: ['call'], jwks }])
    } catch (error) {
      if (signal.aborted) return
      log('warn', 'edge_keys', { reason: reasonOf(error) })
      wait = RETRY_MS
    }
    await sleep(systemClock, wait, signal)
  }
}

async function edgeKeys(edge: string, fetch: EdgeFetch, signal: AbortSignal): Promise<JSONWebKeySet> {
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(10_000)])
  const response = await fetch(`${edge}/.well-known/jwks.json`, { signal: deadline })
  const text = response.body === null ? undefined : await readBounded(response.body, MAX_KEYS_BODY)
  const jwks = response.ok ? readJwks(text) : undefined
  if (jwks === undefined) throw new Error(`${edge} publishes no keys: HTTP ${response.status}`)
  return jwks
}

/** The key of this place, made when it is not there. */
async function keepIdentity(state: string): Promise<Identity> {
  const path = join(state, 'identity.jwk')
  await mkdir(state, { recursive: true, mode: 0o700 })
  const kept = await readFile(path, 'utf8').catch(() => undefined)
  if (kept !== undefined) return Identity.import(JSON.parse(kept) as Parameters<typeof Identity.import>[0])
  const identity = await Identity.generate()
  await writeFile(path, JSON.stringify(identity.export()), { mode: 0o600, flag: 'wx' })
  return identity
}
