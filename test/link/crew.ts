// A cluster without Kubernetes, of real processes: a proxy in front of every server, two replicas of an uplink, each behind a relay that can
// fail, and a lease that says which of them leads. Joined to a real edge by token.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { JSONWebKeySet } from 'jose'
import { bundleProgram } from '../../agent/bundle.ts'
import { leash } from '../../agent/local/leash.ts'
import type { Signer } from '../../agent/run-config.ts'
import type { Rule } from '../../gateway/policy.ts'
import type { AuditEvent } from '../../protocol/audit.ts'
import type { Manifest } from '../peers/manifests.ts'
import { member, proxyConfig, server } from '../proxy/configs.ts'
import { startProxy, type TestProxy } from '../proxy/proxy.ts'
import { startRelay, type Relay } from './relay.ts'
import type { ReplicaNews, ReplicaOrder, ReplicaStart } from './replica.ts'
import { join as admit, type Joinable } from './scripted-uplink.ts'
import { freePort } from '../port.ts'

/** Programs of one file start in a fraction of the time, and a cluster has many. Removed with the process. */
let built: Promise<{ readonly agent: string; readonly replica: string }> | undefined
function programs(): NonNullable<typeof built> {
  built ??= (async () => {
    const folder = await mkdtemp(join(tmpdir(), 'waggle-crew-'))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    for (const source of ['../../agent/main.ts', 'replica.ts'])
      await bundleProgram(fileURLToPath(new URL(source, import.meta.url)), folder)
    return { agent: join(folder, 'main.js'), replica: join(folder, 'replica.js') }
  })()
  return built
}
/** How often a lease is put off, in milliseconds. */

const RENEW_MS = 500
const WAIT_MS = 90_000

/** A server of the cluster: its manifest there, and where it is. */
export interface CrewServer {
  readonly manifest: Manifest
  readonly url: string
  /** What its proxy enforces, and nobody told the edge of. */
  readonly rules?: readonly Rule[]
}

export interface CrewOptions {
  readonly servers: readonly CrewServer[]
  readonly replicas?: number
  /** Between pings, in milliseconds; default: as in production. */
  readonly pingMs?: number
  /** How long a lease lasts that nobody puts off, in milliseconds; default: longer than a machine stands still. */
  readonly leaseMs?: number
}

export interface Replica {
  readonly name: string
  readonly relay: Relay
  readonly isRunning: boolean
  /** SIGKILL. */
  kill(): Promise<void>
  /** A new process under the same name, once it has a link. */
  start(): Promise<void>
  pause(): void
  resume(): void
  /** Everything it printed, and what it told. */
  readonly lines: readonly string[]
}

export interface GuardedProxy {
  readonly proxy: TestProxy
  restart(pauseMs: number): Promise<void>
  /** Audit events of all that ever ran in its place. */
  audit(): AuditEvent[]
}

export interface Crew {
  readonly name: string
  readonly replicas: readonly Replica[]
  /** The proxies, by the server's name. */
  readonly proxies: ReadonlyMap<string, GuardedProxy>
  /** Gives the lease to this replica, as soon as the other one's has ended. */
  promote(replica: Replica): Promise<void>
  close(): Promise<void>
}

/** Starts everything; resolves when the edge has registered what there is. */
export async function startCluster(edge: Joinable, name: string, options: CrewOptions): Promise<Crew> {
  const { servers, replicas: count = 2, pingMs, leaseMs = 60_000 } = options
  const identity = await admit(edge, name)
  const signers: readonly Signer[] = [
    { issuer: 'edge', uses: ['call'], jwks: await keysOf(edge) },
    {
      issuer: `${name}/uplink`,
      uses: ['catalog'],
      jwks: { keys: [{ ...identity.publicJwk, kid: identity.thumbprint }] },
    },
  ]
  const closing: (() => Promise<unknown>)[] = []
  const proxies: [string, Guarded][] = await Promise.all(
    servers.map(async (one): Promise<[string, Guarded]> => {
      const guarded = await guard(name, one, signers)
      closing.push(() => guarded.proxy.close())
      return [one.manifest.metadata.name, guarded]
    }),
  )
  const known = new Map(proxies)
  const replicas: Member[] = []
  for (let nth = 0; nth < count; nth += 1) {
    const relay = await startRelay(Number(new URL(edge.url).port))
    closing.push(() => relay.close())
    const start: ReplicaStart = {
      kind: 'start',
      edge: edge.url,
      relay: relay.port,
      cluster: name,
      replica: `${name}${nth}`,
      identity: identity.export(),
      pingMs,
      servers: servers.map(({ manifest }) => {
        const { proxy } = known.get(manifest.metadata.name) ?? {}
        return { manifest, url: proxy?.mcp ?? '', catalogUrl: `${proxy?.internal ?? ''}/catalog` }
      }),
    }
    replicas.push(new Member(start, relay))
  }
  closing.push(() => Promise.all(replicas.map((one) => one.kill())))
  let leader: Member | undefined = replicas[0]
  let leasedUntil = 0
  const lease = setInterval(() => {
    if (leader === undefined || !leader.isRunning) return
    leasedUntil = Date.now() + leaseMs
    leader.order({ kind: 'lease', until: leasedUntil })
  }, RENEW_MS)
  const close = async (): Promise<void> => {
    clearInterval(lease)
    await Promise.all(closing.map((one) => one()))
  }
  try {
    await Promise.all(replicas.map((one) => one.start()))
    await replicas[0]?.until('registered')
  } catch (error) {
    await close()
    throw error
  }
  return {
    name,
    replicas,
    proxies: known,
    promote: async (replica) => {
      leader = undefined
      await sleep(Math.max(0, leasedUntil - Date.now()))
      leader = replicas.find((one) => one === replica)
    },
    close,
  }
}

class Member implements Replica {
  readonly relay: Relay
  readonly lines: string[] = []
  readonly #start: ReplicaStart
  #child: ChildProcess | undefined
  #unleash: () => void = () => undefined
  #told: ReplicaNews['kind'][] = []

  constructor(start: ReplicaStart, relay: Relay) {
    this.#start = start
    this.relay = relay
  }

  get name(): string {
    return this.#start.replica
  }
  get isRunning(): boolean {
    return this.#child !== undefined
  }

  async start(): Promise<void> {
    const { replica } = await programs()
    const child = spawn(process.execPath, [replica], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { PATH: process.env['PATH'] },
    })
    this.#unleash = leash(child.pid ?? 0)
    this.#told = []
    for (const stream of [child.stdout, child.stderr])
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => void this.lines.push(line))
    child.on('message', ({ kind }: ReplicaNews) => {
      this.#told.push(kind)
      this.lines.push(kind)
    })
    child.on('error', () => undefined)
    child.on('exit', () => {
      if (this.#child === child) this.#child = undefined
    })
    this.#child = child
    this.order(this.#start)
    await this.until('linked')
  }

  async kill(): Promise<void> {
    const child = this.#child
    this.#unleash()
    if (child === undefined) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
  }
  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  order(order: ReplicaOrder): void {
    this.#child?.send(order, () => undefined)
  }

  /** Waits until this process has said so once. */
  async until(kind: ReplicaNews['kind']): Promise<void> {
    for (const deadline = Date.now() + WAIT_MS; !this.#told.includes(kind); await sleep(20)) {
      if (Date.now() > deadline || this.#child === undefined)
        throw new Error(`${this.name} is not ${kind}:\n${this.lines.slice(-30).join('\n')}`)
    }
  }
}

interface Guarded extends GuardedProxy {
  proxy: TestProxy
}

/** A proxy that believes nobody but the signers, on ports that it keeps. */
async function guard(
  cluster: string,
  { manifest, url, rules = [] }: CrewServer,
  signers: readonly Signer[],
): Promise<Guarded> {
  const { kind, metadata } = manifest
  const { name, namespace } = metadata
  const plan = server(`${namespace}/${name}`, url)
  const [port, internal] = [await freePort(), await freePort()]
  const shut = { issuers: [], audience: undefined, resource: undefined, scopes: [] }
  const members = [member(plan, { breaker: { threshold: 5, openMs: 2_000 }, rules })]
  const config = proxyConfig(
    { name, servers: [plan], members, guard: shut, signers },
    { self: { cluster, kind: kind as 'MCPServer', namespace, name }, port },
  )
  const { agent } = await programs()
  const start = (): Promise<TestProxy> =>
    startProxy({ config, program: agent, env: { WAGGLE_INTERNAL_PORT: String(internal) } })
  const first = await start()
  const all = [first]
  const guarded: Guarded = {
    proxy: first,
    restart: async (pauseMs) => {
      await guarded.proxy.close()
      await sleep(pauseMs)
      guarded.proxy = await start()
      all.push(guarded.proxy)
    },
    audit: () => all.flatMap((one) => one.audit()),
  }
  return guarded
}

async function keysOf({ url }: Joinable): Promise<JSONWebKeySet> {
  const response = await fetch(`${url}/.well-known/jwks.json`)
  return (await response.json()) as JSONWebKeySet
}
