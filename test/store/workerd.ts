// The adapters inside real workerd: bundles the test Worker, serves it with state on disk, and speaks to it as a Store.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Fault } from '../../protocol/fault.ts'
import type { FaultData, Reason } from '../../protocol/fault.ts'
import type { Entry, Store } from '../../gateway/ports.ts'

const BIN = fileURLToPath(new URL('../../node_modules/.bin/', import.meta.url))
const START_MS = 120_000

export interface Bundle {
  readonly folder: string
  remove(): Promise<void>
}

/** Bundles worker.js as `wrangler deploy` would, into a temporary folder that also holds the state. */
export async function bundle(): Promise<Bundle> {
  const folder = await mkdtemp(join(tmpdir(), 'waggle-store-'))
  const config = fileURLToPath(new URL('wrangler.toml', import.meta.url))
  const env = { ...process.env, WRANGLER_SEND_METRICS: 'false', WRANGLER_LOG_PATH: folder, CI: '1' }
  await promisify(execFile)(
    process.execPath,
    [join(BIN, 'wrangler'), 'deploy', '--dry-run', '--outdir', folder, '--config', config],
    { env, timeout: 60_000 },
  )
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** Serves the bundle on 127.0.0.1. State lies in its folder, so a second call after close() finds that of the first. */
export async function serve(
  { folder }: Bundle,
  upstash: { url: string; token: string } = { url: 'http://127.0.0.1:9', token: 'none' },
): Promise<{ url: string; close(): Promise<void> }> {
  await writeFile(join(folder, 'config.capnp'), config(folder, upstash))
  const child = spawn(join(BIN, 'workerd'), ['serve', '--control-fd=3', 'config.capnp'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-4000)
    })
  }
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const close = async (): Promise<void> => {
    child.kill('SIGKILL')
    await ended
  }
  const port = await new Promise<number>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`workerd did not start: ${output}`)), START_MS)
    child.once('exit', () => reject(new Error(`workerd ended: ${output}`)))
    let events = ''
    child.stdio[3]?.on('data', (data: Buffer) => {
      events += data.toString()
      const found = /"event":"listen","socket":"http","port":(\d+)/.exec(events)
      if (found === null) return
      clearTimeout(late)
      resolve(Number(found[1]))
    })
  }).catch(async (error: unknown) => {
    await close()
    throw error
  })
  return { url: `http://127.0.0.1:${port}`, close }
}

/** Calls a method in the Worker. Throws the Fault that it threw there. */
export async function call(url: string, op: string, args: readonly unknown[]): Promise<unknown> {
  const response = await fetch(url, { method: 'POST', body: JSON.stringify({ op, args }) })
  assert.equal(response.status, 200, `${op} answered ${response.status}`)
  const reply = (await response.json()) as {
    result?: unknown
    fault?: { name: string; reason: Reason; message: string; data?: FaultData; detail?: string }
  }
  if (reply.fault === undefined) return reply.result
  const { name, reason, message, data, detail } = reply.fault
  assert.equal(name, 'Fault', `${op} threw ${name}: ${message}`)
  throw new Fault(reason, message, { ...(data && { data }), ...(detail !== undefined && { detail }) })
}

/** The Store behind `${url}`, each operation one HTTP request and so one request in the Worker. */
export function remote(url: string): Store {
  return {
    get: async (key) => (await call(url, 'get', [key])) as Entry | null,
    mget: async (keys) => (await call(url, 'mget', [keys])) as (Entry | null)[],
    peek: async (keys) => (await call(url, 'peek', [keys])) as (string | null)[],
    set: async (key, value, options) => (await call(url, 'set', [key, value, wire(options)])) as string | null,
    cas: async (key, expected, value, options) =>
      (await call(url, 'cas', [key, expected, value, wire(options)])) as string | null,
    incr: async (key, by, ttlSeconds) => (await call(url, 'incr', [key, by, ttlSeconds])) as number,
    del: async (key) => {
      await call(url, 'del', [key])
    },
  }
}

function wire(options: object | undefined): object {
  return options ?? {}
}

function config(folder: string, { url, token }: { url: string; token: string }): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "private"])),
    (name = "state", disk = (path = ${JSON.stringify(folder)}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-10-01",
  durableObjectNamespaces = [(className = "ProbeObject", uniqueKey = "store", enableSql = true)],
  durableObjectStorage = (localDisk = "state"),
  bindings = [
    (name = "STORE", durableObjectNamespace = "ProbeObject"),
    (name = "UPSTASH_URL", text = ${JSON.stringify(url)}),
    (name = "UPSTASH_TOKEN", text = ${JSON.stringify(token)}),
  ],
);
`
}
