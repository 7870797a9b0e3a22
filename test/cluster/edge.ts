// The edge of the cluster tests: `waggle serve` in a network namespace of its own, beside the clusters, at https://edge.test for everybody.
// Also the people who use it: an admin with the real command line, and callers in this process.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { Agent, setGlobalDispatcher } from 'undici'
import { leash } from '../../agent/local/leash.ts'
import type { AuditEvent } from '../edge.ts'
import type { Manifest } from '../peers/manifests.ts'
import { inhabitants, namespace, settle, unplug } from './bed/network.ts'
import { bridge } from './bed/plan.ts'
import { perform, until } from './bed/shell.ts'
import type { Outside } from './outside.ts'

const EDGE_HOST = 'edge.test'
export const EDGE_URL = `https://${EDGE_HOST}`
/** Beyond the addresses of the 26 clusters. */
const place = { id: 'wgl-edge', address: '10.100.0.40' }
const PORT = 8787
/** Where it really listens. */
export const EDGE_ADDRESS = `http://${place.address}:${PORT}`
const SYSTEM_CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'

const root = dirname(dirname(import.meta.dirname))
const program = join(root, 'cli/main.ts')

export interface GlobalEdge {
  readonly url: string
  /** Has the tests' authority as `ca.pem`, and what the command line remembers. */
  readonly folder: string
  /** A line of shell that is the command `waggle`, with the arguments of the script that it stands in. */
  readonly script: string
  /** The environment in which it is the admin's, and trusts the edge. */
  login(): Promise<Readonly<Record<string, string>>>
  /** A token of `sub` ada for an endpoint (its URL). */
  token(audience: string, claims?: Readonly<Record<string, unknown>>): Promise<string>
  adminToken(): Promise<string>
  /** The answer of the admin API below /admin/v1/. Throws when it refuses. */
  admin(method: string, path: string, body?: unknown): Promise<unknown>
  apply(resources: readonly Manifest[]): Promise<void>
  /** Runs `waggle …` as the admin, who is logged in: what it printed. Throws with its complaint. */
  waggle(args: readonly string[], environment?: Readonly<Record<string, string>>): Promise<string>
  /** Audit events so far, oldest first, those before a restart included. */
  audit(): AuditEvent[]
  /** Everything it said. */
  lines(): readonly string[]
  /** As by power loss: kill -9. */
  kill(): Promise<void>
  /** Again, on what it had stored. */
  start(): Promise<void>
  close(): Promise<void>
}

/** Starts it. From then on, `fetch` of this process finds all of the outside by its names. */
export async function startGlobalEdge(outside: Outside): Promise<GlobalEdge> {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-edge-'))
  const at = (name: string): string => join(folder, name)
  const names = [EDGE_HOST, 'idp.test', 'mcp.linear.app']
  writeFileSync(at('hosts'), `127.0.0.1 localhost\n${bridge.address} ${names.join(' ')}\n`)
  writeFileSync(at('ca.pem'), outside.ca)
  writeFileSync(at('trusted.pem'), readFileSync(SYSTEM_CERTIFICATES, 'utf8') + outside.ca)
  writeFileSync(
    at('settings'),
    [
      `PUBLIC_URL=${EDGE_URL}`,
      `OIDC_ISSUER=${outside.issuer.url}`,
      // The issuer is at a private address.
      'ALLOW_LOOPBACK=true',
      // Every event is a line at once, so that tests can count them.
      'AUDIT_BATCH_MS=0',
    ].join('\n'),
  )
  mkdirSync(at('home'))
  const restore = trust(outside.ca, names)
  await leave()
  settle(place)

  const lines: string[] = []
  let running: ChildProcess | undefined
  let worker = 0

  async function start(): Promise<void> {
    const serve = ['serve', '--host', place.address, '--port', String(PORT), '--state', at('state')]
    const command = within(at('hosts'), [process.execPath, program, ...serve, '--env-file', at('settings')])
    const child = spawn('nsenter', [`--net=${namespace(place)}`, ...command], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, SSL_CERT_FILE: at('trusted.pem') },
    })
    running = child
    // It does not outlive its test, however that ends.
    child.once('close', leash(child.pid ?? 0))
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
    const listening = new Promise<number>((resolve, reject) => {
      createInterface({ input: child.stderr }).on('line', (line) => {
        lines.push(line)
        const [, pid] = /^the edge is at .* process (\d+)\)$/.exec(line) ?? []
        if (pid !== undefined) resolve(Number(pid))
      })
      child.once('error', reject)
      child.once('close', () => reject(new Error(`the edge ended:\n${lines.slice(-20).join('\n')}`)))
    })
    worker = await listening
  }

  async function end(signal: NodeJS.Signals): Promise<void> {
    const child = running
    running = undefined
    if (child === undefined || child.exitCode !== null) return
    const ended = once(child, 'close')
    if (signal === 'SIGKILL') process.kill(worker, signal)
    else child.kill(signal)
    await ended
  }

  const edge: GlobalEdge = {
    url: EDGE_URL,
    folder,
    script: `exec ${within(at('hosts'), [process.execPath, program]).map(quoted).join(' ')} "$@"`,
    login: async () => ({
      WAGGLE_EDGE: EDGE_URL,
      WAGGLE_TOKEN: await edge.adminToken(),
      XDG_CONFIG_HOME: at('home'),
      NODE_EXTRA_CA_CERTS: at('ca.pem'),
    }),
    token: (audience, claims) => outside.issuer.token(audience, claims),
    adminToken: () => outside.issuer.token(`${EDGE_URL}/admin`, { sub: 'root', scope: 'waggle:admin' }),
    admin: async (method, path, body) => {
      const response = await fetch(`${EDGE_URL}/admin/v1/${path}`, {
        method,
        headers: { authorization: `Bearer ${await edge.adminToken()}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(20_000),
      })
      const said = await response.text()
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${said}`)
      return JSON.parse(said)
    },
    apply: async (resources) => void (await edge.admin('PUT', 'resources', { resources })),
    waggle: async (args, environment = {}) => {
      const env = { ...(await edge.login()), ...environment }
      return perform(within(at('hosts'), [process.execPath, program, ...args]), { cwd: root, env })
    },
    audit: () => lines.flatMap(parseEvent),
    lines: () => lines,
    kill: () => end('SIGKILL'),
    start,
    close: async () => {
      await end('SIGTERM')
      await leave()
      restore()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  await start()
  return edge
}

/** A command that finds the names of `hosts`. */
function within(hosts: string, command: readonly string[]): string[] {
  const script = 'mount --bind "$0" /etc/hosts && exec "$@"'
  return ['unshare', '--mount', 'sh', '-c', script, hosts, ...command]
}

const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`

/** What an edge left behind that was killed with its test. */
async function leave(): Promise<void> {
  await until('the edge to end', () => {
    const left = inhabitants(place)
    for (const pid of left) process.kill(pid, 'SIGKILL')
    return left.length === 0
  })
  unplug(place)
}

/** Lets `fetch` find these names at the bridge, whose authority it trusts. Returns what ends that. */
function trust(ca: string, names: readonly string[]): () => void {
  const agent = new Agent({
    connect: {
      ca,
      lookup: (name, options, found) => {
        const address = names.includes(name) ? bridge.address : '127.0.0.1'
        if (options.all === true) found(null, [{ address, family: 4 }])
        else found(null, address, 4)
      },
    },
  })
  setGlobalDispatcher(agent)
  return () => void agent.destroy()
}

function parseEvent(line: string): AuditEvent[] {
  if (!line.includes('"audit_event"')) return []
  try {
    return [JSON.parse(line.slice(line.indexOf('{'))) as AuditEvent]
  } catch {
    return []
  }
}
