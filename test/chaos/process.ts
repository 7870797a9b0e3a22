// The edge as a process that chaos can hurt: workerd with a second, private socket that evicts and aborts its Durable
// Objects, killed and started again on the same port and state folder. The Worker inside is the product, unchanged.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundle } from '../../cli/bundle.ts'
import type { WorkerFacts } from '../../cli/bundle.ts'
import { configure, environmentName } from '../../cli/capnp.ts'
import { keys } from '../../cli/keys.ts'
import { leash } from '../../agent/local/leash.ts'
import { eachLine } from '../../cli/lines.ts'
import { awake } from '../bench/objects.ts'
import type { Awake } from '../bench/objects.ts'
import { freePort } from '../port.ts'

const START_MS = 120_000
/** How long an object gets to finish what it does before its eviction is given up. */
const EVICT_MS = 5_000

/** A workerd:unsafe module of its own service: `evict` waits for what the object does, `abort` breaks all of them off. */
const evictor = `
import unsafe from 'workerd:unsafe'
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/abort') await unsafe.abortAllDurableObjects()
    else {
      const namespace = env[searchParams.get('class')]
      await unsafe.evict(namespace.get(namespace.idFromString(searchParams.get('id'))), {})
    }
    return new Response('done')
  },
}`

export interface EdgeProcess {
  readonly url: string
  readonly pid: number
  /** SIGKILL, and a new process after `pauseMs`. Resolves when it answers. */
  crash(pauseMs: number): Promise<void>
  /** Spans of `performance.now()` in which no process answered. */
  readonly downs: readonly { readonly from: number; until: number }[]
  awake(): Awake[]
  /** Evicts one object; false when it was busy for too long. */
  evict(object: Awake): Promise<boolean>
  /** Breaks off all objects, whatever they do: what a crash of their machine or a deployment does. */
  abort(): Promise<void>
  /** Lines of stderr, most frequent first, without what differs between them. */
  complaints(): readonly (readonly [string, number])[]
  close(): Promise<void>
}

/**
 * Starts the edge with these text bindings on a free port; `PUBLIC_URL` and keys are added. `flags` are workerd's own; `said` is told every
 * line that it prints.
 */
export async function startProcess(
  vars: Readonly<Record<string, string>>,
  flags: readonly string[] = [],
  said: (line: string) => void = () => undefined,
): Promise<EdgeProcess> {
  const stateDir = await mkdtemp(join(tmpdir(), 'waggle-chaos-'))
  const objects = join(stateDir, 'objects')
  await mkdir(objects)
  const worker = await bundle()
  const [port, control] = [await freePort(), await freePort()]
  const url = `http://127.0.0.1:${port}`
  const bindings = { PUBLIC_URL: url, AUDIT_BATCH_MS: '20', ...vars, ...(await keys(stateDir, vars)) }
  await writeFile(join(stateDir, 'edge.capnp'), await configuration(worker, objects, port, control, bindings))
  const complaints = new Map<string, number>()
  const downs: { from: number; until: number }[] = []

  async function launch(): Promise<{ child: ChildProcess; release: () => void }> {
    const child = spawn(executable(), ['serve', '--experimental', ...flags, join(stateDir, 'edge.capnp')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: Object.fromEntries(Object.entries(bindings).map(([name, value]) => [environmentName(name), value])),
    })
    const release = leash(child.pid ?? 0)
    eachLine(child.stdout, said)
    eachLine(child.stderr, (line) => {
      const shape = line.replaceAll(/[0-9a-f]{8,}|\d+/g, '#').slice(0, 240)
      if (complaints.size < 200) complaints.set(shape, (complaints.get(shape) ?? 0) + 1)
    })
    const deadline = performance.now() + START_MS
    for (;;) {
      const answered = await fetch(`${url}/healthz`, { signal: AbortSignal.timeout(5_000) }).then(
        async (response) => (await response.text(), response.ok),
        () => false,
      )
      if (answered) return { child, release }
      if (child.exitCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL')
        release()
        throw new Error(`workerd does not start: ${[...complaints.keys()].join('\n')}`)
      }
      await sleep(25)
    }
  }

  let running = await launch()

  async function end(): Promise<void> {
    const { child, release } = running
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    }
    release()
  }

  async function order(path: string, deadlineMs: number): Promise<boolean> {
    const signal = AbortSignal.timeout(deadlineMs)
    return fetch(`http://127.0.0.1:${control}${path}`, { signal }).then(
      async (response) => (await response.text(), response.ok),
      () => false,
    )
  }

  return {
    url,
    get pid() {
      return running.child.pid ?? 0
    },
    downs,
    crash: async (pauseMs) => {
      const down = { from: performance.now(), until: Number.POSITIVE_INFINITY }
      downs.push(down)
      await end()
      await sleep(pauseMs)
      running = await launch()
      down.until = performance.now()
    },
    awake: () => awake(running.child.pid ?? 0),
    evict: ({ className, id }) => order(`/evict?class=${className}&id=${id}`, EVICT_MS),
    abort: async () => void (await order('/abort', EVICT_MS)),
    complaints: () => [...complaints].sort(([, one], [, two]) => two - one),
    close: async () => {
      await end()
      await rm(stateDir, { recursive: true, force: true })
    },
  }
}

/** The edge's own configuration, with the evictor's service and socket beside it. */
async function configuration(
  worker: string,
  objects: string,
  port: number,
  control: number,
  bindings: Readonly<Record<string, string>>,
): Promise<string> {
  const facts = JSON.parse(await readFile(join(worker, 'worker.json'), 'utf8')) as WorkerFacts
  const names = (await readdir(worker)).filter((name) => !/(?:\.map|\.md|^worker\.json)$/.test(name))
  names.sort((one, two) => Number(two === 'worker.js') - Number(one === 'worker.js') || (one < two ? -1 : 1))
  const text = configure({
    ...facts,
    host: '127.0.0.1',
    port,
    modules: names.map((name) => ({ name, path: relative(dirname(objects), join(worker, name)) })),
    variables: Object.keys(bindings),
    objects,
    loopback: true,
  })
  const namespaces = facts.durableObjects.map(
    ({ className }) =>
      `(name = "${className}", durableObjectNamespace = (className = "${className}", serviceName = "edge"))`,
  )
  const patched = text
    .replace('services = [', 'services = [\n    (name = "evictor", worker = .evictor),')
    .replace(
      'sockets = [',
      `sockets = [(name = "evictor", address = "127.0.0.1:${control}", http = (), service = "evictor"), `,
    )
  return `${patched}
const evictor :Workerd.Worker = (
  modules = [(name = "evictor.js", esModule = ${JSON.stringify(evictor)})],
  compatibilityDate = "${facts.compatibilityDate}",
  compatibilityFlags = ["unsafe_module"],
  bindings = [${namespaces.join(', ')}],
);
`
}

function executable(): string {
  const fromWrangler = createRequire(createRequire(import.meta.url).resolve('wrangler/package.json'))
  const found = fromWrangler('workerd') as { readonly default: string }
  return found.default
}
