// Operators as processes of this machine, each behind a relay of its own that counts what it writes: so that one of them can be
// stopped, killed and watched without being asked.

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { Agent, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { access } from './bed/api.ts'
import type { Cluster } from './bed/plan.ts'

const root = dirname(dirname(import.meta.dirname))
const STOP_MS = 30_000
const RESTART_MS = 1_000

export interface Write {
  readonly at: number
  readonly method: string
  /** Path without its query. */
  readonly path: string
}

export interface OperatorProcess {
  /** Requests that change or make an object. The lease, statuses and events follow what happens to pods. */
  readonly writes: readonly Write[]
  /** Its log so far, the last 64 KiB. */
  log(): string
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void
  /** How it ended so far, by exit code or signal: it is started again, as a kubelet would. */
  readonly ends: readonly (number | NodeJS.Signals)[]
  close(): Promise<void>
}

/** Starts an operator outside of the cluster, as its administrator. `settings` are environment variables besides the needed ones. */
export async function startOperator(
  cluster: Cluster,
  name: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<OperatorProcess> {
  const writes: Write[] = []
  const relay = await startRelay(cluster, writes)
  const folder = mkdtempSync(join(tmpdir(), 'waggle-operator-'))
  const kubeconfig = join(folder, 'kubeconfig')
  const { port } = relay.address() as AddressInfo
  writeFileSync(
    kubeconfig,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'c',
      clusters: [{ name: 'c', cluster: { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true } }],
      users: [{ name: 'u', user: {} }],
      contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    }),
  )
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    KUBECONFIG: kubeconfig,
    POD_NAME: name,
    POD_NAMESPACE: 'toolhive-system',
    WAGGLE_HEALTH_PORT: '0',
    WAGGLE_METRICS_PORT: '0',
    ...settings,
  }
  let log = ''
  const ends: (number | NodeJS.Signals)[] = []
  let closed = false
  let child = run()
  function run(): ChildProcess {
    const started = spawn(process.execPath, [join(root, 'agent/main.ts'), 'operator'], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    started.stderr.setEncoding('utf8').on('data', (more: string) => {
      log = (log + more).slice(-65_536)
    })
    started.once('exit', (code, signal) => {
      ends.push(code ?? signal ?? 0)
      if (!closed) setTimeout(() => (child = run()), RESTART_MS)
    })
    return started
  }
  return {
    writes,
    ends,
    log: () => log,
    signal: (signal) => void child.kill(signal),
    close: async () => {
      closed = true
      await end(child)
      relay.closeAllConnections()
      await new Promise((resolve) => relay.close(resolve))
      rmSync(folder, { recursive: true })
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGCONT')
  child.kill('SIGTERM')
  const hard = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await ended
  clearTimeout(hard)
}

/** Passes requests on to the API server as its administrator, streams included, and notes those that would change something. */
async function startRelay(cluster: Cluster, writes: Write[]): Promise<Server> {
  const { server, ca, token } = access(cluster)
  const agent = new Agent({ keepAlive: true, ca })
  const relay = createServer((incoming, outgoing) => {
    const { method = 'GET', url = '/', headers } = incoming
    const path = url.split('?', 1)[0] ?? url
    if (method !== 'GET' && !/\/leases|\/events$|\/status$/u.test(path)) writes.push({ at: Date.now(), method, path })
    const onward = request(new URL(url, server), {
      method,
      agent,
      headers: { ...headers, host: new URL(server).host, authorization: `Bearer ${token}` },
    })
    onward.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      outgoing.flushHeaders()
      answer.on('error', () => outgoing.destroy()).on('aborted', () => outgoing.destroy())
      answer.pipe(outgoing)
    })
    // The caller sees what it would see without the relay: a connection that breaks.
    onward.on('error', () => outgoing.destroy())
    outgoing.on('close', () => onward.destroy())
    incoming.on('error', () => onward.destroy())
    incoming.pipe(onward)
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  return relay
}
