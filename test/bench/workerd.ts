// Runs one small Worker of this folder in its own plain workerd: types stripped, no bundler, no state, backends on loopback allowed.
// The edge itself is not started here but by `waggle serve`, as an operator would.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createRequire, stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'

export interface Running {
  readonly url: string
  readonly pid: number
  close(): Promise<void>
}

export interface Small {
  /** File name in `workers/`. */
  readonly worker: string
  /** Bindings: text becomes a string, bytes become an ArrayBuffer. */
  readonly bindings: Readonly<Record<string, string | Buffer>>
}

const START_DEADLINE_MS = 10_000
const COMPATIBILITY_DATE = '2026-10-01'

/** Starts it on a free port of 127.0.0.1; rejects with what workerd printed when it does not listen within 10 s. */
export async function startWorker(small: Small): Promise<Running> {
  const directory = await mkdtemp(join(tmpdir(), 'waggle-bench-'))
  const source = await readFile(new URL(`workers/${small.worker}`, import.meta.url), 'utf8')
  await writeFile(join(directory, 'worker.js'), stripTypeScriptTypes(source))
  const bindings: string[] = []
  for (const [name, value] of Object.entries(small.bindings)) {
    await writeFile(join(directory, name), value)
    bindings.push(`(name = "${name}", ${typeof value === 'string' ? 'text' : 'data'} = embed "${name}")`)
  }
  await writeFile(join(directory, 'config.capnp'), config(bindings))
  const child = spawn(workerdPath(), ['serve', '--control-fd=3', join(directory, 'config.capnp')], {
    stdio: ['ignore', 'inherit', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  const close = async (): Promise<void> => {
    if (child.exitCode === null) child.kill('SIGKILL')
    await exited
    await rm(directory, { recursive: true, force: true })
  }
  try {
    const port = await listening(child.stdio[3] as Readable, child.stderr as Readable)
    return { url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, close }
  } catch (error) {
    await close()
    throw new Error(`${small.worker}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

function workerdPath(): string {
  return createRequire(import.meta.url).resolve('workerd/bin/workerd')
}

function config(bindings: readonly string[]): string {
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = "${COMPATIBILITY_DATE}",
      bindings = [${bindings.join(', ')}],
    )),
    (name = "internet", network = (allow = ["private", "local"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`
}

/** The port, from the line workerd writes to its control channel once it listens. */
function listening(control: Readable, stderr: Readable): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  let complaints = ''
  let events = ''
  const timer = setTimeout(() => reject(new Error(`workerd does not listen: ${complaints}`)), START_DEADLINE_MS)
  stderr.setEncoding('utf8').on('data', (text: string) => {
    if (complaints.length < 10_000) complaints += text
  })
  stderr.on('end', () => reject(new Error(`workerd ended: ${complaints}`)))
  control.setEncoding('utf8').on('data', (text: string) => {
    events += text
    const port = /"port":(\d+)/.exec(events)?.[1]
    if (port !== undefined) resolve(Number(port))
  })
  return promise.finally(() => clearTimeout(timer))
}
