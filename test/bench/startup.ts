// How long the gateway takes to come up, and how large it is: spawn to first 200, bundle size, wrangler's startup profile.
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { bundle } from '../../cli/bundle.ts'
import { serve } from '../../cli/serve.ts'
import type { Startup } from './results.ts'
import { median } from './stats.ts'
import { startWorker } from './workerd.ts'

const run = promisify(execFile)

/** Starts each side `times` times in turn, cold processes on a warm page cache. */
export async function startup(times: number): Promise<Startup> {
  const gateway: number[] = []
  const small: number[] = []
  for (let time = 0; time < times; time++) {
    gateway.push(await timed(async () => gatewayOnce()))
    small.push(await timed(async () => staticOnce()))
  }
  return { gatewayMs: median(gateway), staticMs: median(small), ...(await sizes()), activeMs: await profile() }
}

/** Runs a start and returns the milliseconds until it is up; stopping is not counted. */
async function timed(start: () => Promise<() => Promise<void>>): Promise<number> {
  const before = performance.now()
  const stop = await start()
  const elapsed = performance.now() - before
  await stop()
  return elapsed
}

async function gatewayOnce(): Promise<() => Promise<void>> {
  const stateDir = await mkdtemp(join(tmpdir(), 'waggle-bench-'))
  const edge = await serve({ port: 0, stateDir, vars: { ALLOW_LOOPBACK: 'true' } })
  await answered(`${edge.url}/healthz`)
  return async () => {
    await edge.close()
    await rm(stateDir, { recursive: true, force: true })
  }
}

async function staticOnce(): Promise<() => Promise<void>> {
  const worker = await startWorker({ worker: 'static.ts', bindings: { BODY: Buffer.from('ok') } })
  await answered(worker.url)
  return () => worker.close()
}

async function answered(url: string): Promise<void> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) })
  await answer.text()
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
}

/** Bytes of all JavaScript of the bundle, plain and as gzip. */
async function sizes(): Promise<{ bundleBytes: number; gzipBytes: number }> {
  const directory = await bundle()
  const files = (await readdir(directory)).filter((name) => name.endsWith('.js'))
  const sources = await Promise.all(files.map((name) => readFile(join(directory, name))))
  const sum = (all: readonly Uint8Array[]): number => all.reduce((total, each) => total + each.length, 0)
  return { bundleBytes: sum(sources), gzipBytes: sum(sources.map((source) => gzipSync(source))) }
}

/** Active milliseconds of the global scope; undefined when wrangler cannot say, which is no error of the benchmark. */
async function profile(): Promise<number | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'waggle-bench-'))
  const wrangler = join(dirname(createRequire(import.meta.url).resolve('wrangler/package.json')), 'bin/wrangler.js')
  try {
    const { stdout } = await run(
      process.execPath,
      [wrangler, 'check', 'startup', '--outfile', join(directory, 'startup.cpuprofile')],
      { env: { ...process.env, WRANGLER_SEND_METRICS: 'false' }, timeout: 60_000 },
    )
    const active = /Active: ([\d.]+) ms/.exec(stdout)?.[1]
    return active === undefined ? undefined : Number(active)
  } catch {
    return undefined
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}
