// `npm run bench`: starts everything on loopback, measures the gateway against its baselines in interleaved rounds and writes
// docs/benchmarks.md. Slow numbers are reported; only wrong answers and broken parts end it with an error.
// `--quick` takes about a minute and prints the report instead of writing it; `--link` measures and prints the section of the link alone.
import { readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { measureAsks } from './asks.ts'
import { Child } from './child.ts'
import { startGateway } from './gateway.ts'
import type { Gateway } from './gateway.ts'
import { measureLink } from './link.ts'
import type { LinkPlan } from './link.ts'
import { SIZED_TOOLS, calls, echo, sized } from './manifests.ts'
import { linkReport, report, splice } from './report.ts'
import type { Calls, Lists, Results } from './results.ts'
import { compare } from './rounds.ts'
import type { Pace, Side } from './rounds.ts'
import { startup } from './startup.ts'
import { measureStreams } from './streams.ts'
import type { StreamPlan } from './streams.ts'
import { cpuOf, residentOf } from './usage.ts'
import type { Era } from './user.ts'
import { startWorker } from './workerd.ts'

interface Plan {
  readonly pace: Pace
  readonly users: readonly number[]
  readonly listUsers: readonly number[]
  readonly listEras: readonly Era[]
  readonly sizes: readonly number[]
  readonly asking: number
  readonly link: LinkPlan
  readonly streams: Omit<StreamPlan, 'pace'>
  readonly starts: number
}

interface Parts {
  readonly plan: Plan
  readonly backend: string
  readonly backendPid: number
  readonly load: Child
  readonly gateway: Gateway
}

const ERAS = ['modern', 'legacy'] as const
const FLOWS = { streams: 200, events: 10, everyMs: 500, blobBytes: 20_000_000, floodBytes: 400_000_000 }
const FULL: Plan = {
  pace: { rounds: 18, warmMs: 100, measureMs: 350 },
  users: [1, 16, 64],
  listUsers: [1, 16],
  listEras: ERAS,
  sizes: [10, 100, 500, 2000],
  asking: 16,
  link: { users: [1, 16], eras: ERAS, flows: { ...FLOWS, blobs: 10, pauseMs: 5_000 } },
  // At rest for longer than a round of keep-alives takes.
  streams: { streams: 1000, restMs: 16_000, users: 16 },
  starts: 7,
}
const QUICK: Plan = {
  pace: { rounds: 6, warmMs: 50, measureMs: 250 },
  users: [1, 16],
  listUsers: [16],
  listEras: ['modern'],
  sizes: [10, 500],
  asking: 16,
  link: { users: [1, 16], eras: ['modern'], flows: { ...FLOWS, blobs: 3, pauseMs: 2_000 } },
  streams: { streams: 200, restMs: 3_000, users: 16 },
  starts: 2,
}
const DOCUMENT = new URL('../../docs/benchmarks.md', import.meta.url)
/** A few users keep one core busy and the queue short. */
const SIZE_USERS = 4
const REST_MS = 5000
/** Longer than audit lines may wait to be written. */
const SETTLE_MS = 300

function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

async function measureCalls(parts: Parts): Promise<Pick<Results, 'calls' | 'audit'> & { relayResidentMib: number }> {
  const { plan, backend, load, gateway } = parts
  const relay = await startWorker({ worker: 'relay.ts', bindings: { BACKEND: backend } })
  try {
    const found: Calls[] = []
    let events = 0
    for (const era of ERAS) {
      const path = `/${era}/30/${era}`
      const plain = { era, tokens: [], tool: 'echo', sessions: true }
      const target = await gateway.target(era, era, echo(era))
      await gateway.listed(target, 30)
      await sleep(SETTLE_MS)
      const sides: Side[] = [
        { name: 'direct', target: { ...plain, url: backend + path }, pid: parts.backendPid },
        { name: 'relay', target: { ...plain, url: relay.url + path }, pid: relay.pid },
        { name: 'gateway', target, pid: gateway.pid },
      ]
      for (const users of plan.users) {
        say(`tools/call, ${era}, ${users} users`)
        const before = gateway.events()
        found.push({ era, users, rows: await compare(load, sides, 'call', users, plan.pace) })
        await sleep(SETTLE_MS)
        events += gateway.events() - before
      }
    }
    const requests = sum(found.map((each) => each.rows.at(-1)?.sent ?? 0))
    return { calls: found, audit: { events, requests }, relayResidentMib: residentOf(relay.pid) }
  } finally {
    await relay.close()
  }
}

/** Lists of one virtual server against a Worker that sends the same bytes. */
async function measureLists(
  parts: Parts,
  name: string,
  era: Era,
  servers: number,
  total: number,
  crowds: readonly number[],
): Promise<Lists[]> {
  const target = await parts.gateway.target(name, era, '')
  const first = await parts.gateway.listed(target, total)
  const fixed = await startWorker({ worker: 'static.ts', bindings: { BODY: Buffer.from(first.body, 'latin1') } })
  try {
    const found: Lists[] = []
    for (const users of crowds) {
      say(`tools/list, ${era}, ${first.tools} of ${total} tools of ${servers} servers, ${users} users`)
      const bare = { url: fixed.url, era, tokens: [], tool: '', sessions: false }
      const sides: Side[] = [
        { name: 'static', target: bare, pid: fixed.pid },
        { name: 'gateway', target, pid: parts.gateway.pid },
      ]
      const rows = await compare(parts.load, sides, 'list', users, parts.plan.pace)
      found.push({ era, users, servers, tools: first.tools, rows })
    }
    return found
  } finally {
    await fixed.close()
  }
}

async function measure(parts: Parts): Promise<Results> {
  const { plan, backend, gateway } = parts
  await gateway.apply(calls(backend))
  const { calls: callTables, audit, relayResidentMib } = await measureCalls(parts)

  say('a tool that asks')
  const asks = await measureAsks({ ...parts, users: plan.asking, pace: plan.pace })
  const link = await measureLink(plan.link, plan.pace, backend, parts.load, say)
  const streams = await measureStreams({ ...plan.streams, pace: plan.pace }, backend, parts.load, say)

  const lists: Lists[] = []
  for (const era of plan.listEras) {
    lists.push(...(await measureLists(parts, 'modern', era, 1, 30, plan.listUsers)))
    lists.push(...(await measureLists(parts, 'thousand', era, 10, 1000, plan.listUsers)))
  }

  say(`discovering ${plan.sizes.join(' + ')} servers`)
  const applied = performance.now()
  await gateway.apply(plan.sizes.flatMap((servers) => sized(servers, backend)))
  for (const servers of plan.sizes)
    await gateway.listed(await gateway.target(`size-${servers}`, 'modern', ''), SIZED_TOOLS)
  const discoverySeconds = (performance.now() - applied) / 1000

  const sizes: Lists[] = []
  const seen = await backendLists(backend)
  for (const servers of plan.sizes)
    sizes.push(...(await measureLists(parts, `size-${servers}`, 'modern', servers, SIZED_TOOLS, [SIZE_USERS])))
  const served = sum(sizes.map((each) => each.rows.at(-1)?.sent ?? 0))
  const refreshes = { seen: (await backendLists(backend)) - seen, served }

  const idle = cpuOf(gateway.pid)
  await sleep(REST_MS)
  const cpuMsPerSecond = ((cpuOf(gateway.pid) - idle) * 1000) / (REST_MS / 1000)
  const rest = { cpuMsPerSecond, residentMib: residentOf(gateway.pid), relayResidentMib, discoverySeconds }
  say('start')
  return {
    machine: machine(),
    calls: callTables,
    asks,
    link,
    streams,
    lists,
    sizes,
    refreshes,
    audit,
    rest,
    startup: await startup(plan.starts),
    rounds: plan.pace.rounds,
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

async function backendLists(backend: string): Promise<number> {
  const answer = await fetch(`${backend}/lists`, { signal: AbortSignal.timeout(5000) })
  return Number(await answer.text())
}

function machine(): Results['machine'] {
  const workerd = createRequire(import.meta.url)('workerd/package.json') as { readonly version: string }
  return { cores: availableParallelism(), node: process.versions.node, workerd: workerd.version }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { quick: { type: 'boolean', default: false }, link: { type: 'boolean', default: false } },
  })
  const plan = values.quick ? QUICK : FULL
  const closing: (() => Promise<void>)[] = []
  try {
    const backend = await Child.start('backend.ts')
    closing.push(() => backend.child.stop())
    const load = await Child.start('load.ts')
    closing.push(() => load.child.stop())
    const { port } = backend.hello as { readonly port: number }
    const origin = `http://127.0.0.1:${port}`
    if (values.link) {
      process.stdout.write(`${linkReport(await measureLink(plan.link, plan.pace, origin, load.child, say))}\n`)
      return
    }
    const gateway = await startGateway()
    closing.push(() => gateway.close())
    const fresh = report(
      await measure({ plan, backend: origin, backendPid: backend.child.pid, load: load.child, gateway }),
    )
    if (values.quick) process.stdout.write(`${fresh}\n`)
    else {
      await writeFile(DOCUMENT, splice(await readFile(DOCUMENT, 'utf8'), fresh))
      say('written to docs/benchmarks.md')
    }
  } finally {
    for (const close of closing.toReversed()) await close()
  }
}

await main()
