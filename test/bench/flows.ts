// Large and long answers over one way to a server: many streams at once, results of many megabytes, and a reader that stops reading.
import { request, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { BenchError } from './rounds.ts'
import { percentile } from './stats.ts'
import { residentOf } from './usage.ts'
import { CLIENT, VERSION, type Target } from './user.ts'

export interface FlowPlan {
  readonly streams: number
  readonly events: number
  readonly everyMs: number
  readonly blobBytes: number
  readonly blobs: number
  /** What the flood would be if it were read. */
  readonly floodBytes: number
  readonly pauseMs: number
}

/** Processes whose memory is watched, by name. */
export type Watched = Readonly<Record<string, number>>

export interface Flows {
  readonly name: string
  /** Milliseconds from the server's sending an event to its arrival. */
  readonly delay: { readonly p50: number; readonly p99: number }
  readonly blobMibPerSecond: number
  /** With a reader that has stopped: MiB that the server could send, and MiB by which each process grew. */
  readonly flood: { readonly sentMib: number; readonly grownMib: Readonly<Record<string, number>> }
}

const MIB = 1024 * 1024
const DEADLINE_MS = 60_000
const FLOOD_EVENT = 64 * 1024

export async function measureFlows(
  name: string,
  target: Target,
  backend: string,
  watched: Watched,
  plan: FlowPlan,
): Promise<Flows> {
  const delays = (await Promise.all(Array.from({ length: plan.streams }, (_, n) => drip(target, n, plan)))).flat()
  const sorted = Float64Array.from(delays).sort()
  const began = performance.now()
  for (let left = plan.blobs; left > 0; left -= 1) await blob(target, plan.blobBytes)
  const seconds = (performance.now() - began) / 1000
  return {
    name,
    delay: { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) },
    blobMibPerSecond: (plan.blobs * plan.blobBytes) / MIB / seconds,
    flood: await flood(target, backend, watched, plan),
  }
}

/** The delays of one stream's events, which must be all and in order. */
async function drip(target: Target, n: number, { events, everyMs }: FlowPlan): Promise<number[]> {
  const answer = await call(target, n, 'drip', { events, everyMs })
  const delays: number[] = []
  let text = ''
  for await (const chunk of answer) {
    text += String(chunk)
    const at = Date.now()
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines) {
      const [, progress, sent] = /"progress":(\d+),"message":"(\d+) "/u.exec(line) ?? []
      if (progress === undefined) continue
      if (Number(progress) !== delays.length + 1) throw new BenchError(`event ${progress} after ${delays.length}`)
      delays.push(at - Number(sent))
    }
  }
  if (delays.length !== events)
    throw new BenchError(`a stream had ${delays.length} of ${events} events: ${text.slice(0, 200)}`)
  return delays
}

async function blob(target: Target, bytes: number): Promise<void> {
  let size = 0
  for await (const chunk of await call(target, 0, 'blob', { bytes })) size += (chunk as Buffer).length
  if (size < bytes) throw new BenchError(`of a result of ${bytes} bytes ${size} arrived`)
}

async function flood(target: Target, backend: string, watched: Watched, plan: FlowPlan): Promise<Flows['flood']> {
  const before = { sent: await floodedAt(backend), resident: residents(watched) }
  const answer = await call(target, 0, 'flood', {
    events: Math.ceil(plan.floodBytes / FLOOD_EVENT),
    bytes: FLOOD_EVENT,
  })
  answer.pause()
  await sleep(plan.pauseMs)
  const after = { sent: await floodedAt(backend), resident: residents(watched) }
  answer.destroy()
  const grown = Object.keys(watched).map((name) => [name, (after.resident[name] ?? 0) - (before.resident[name] ?? 0)])
  return { sentMib: (after.sent - before.sent) / MIB, grownMib: Object.fromEntries(grown) as Record<string, number> }
}

function residents(watched: Watched): Record<string, number> {
  return Object.fromEntries(Object.entries(watched).map(([name, pid]) => [name, residentOf(pid)]))
}

async function floodedAt(backend: string): Promise<number> {
  const answer = await fetch(`${backend}/flooded`, { signal: AbortSignal.timeout(5000) })
  return Number(await answer.text())
}

function call(target: Target, n: number, name: string, given: object): Promise<IncomingMessage> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': VERSION.modern,
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': {},
    progressToken: 'p',
  }
  const params = { name, arguments: given, _meta }
  return new Promise((resolve, reject) => {
    const out = request(
      target.url,
      {
        method: 'POST',
        agent: false,
        signal: AbortSignal.timeout(DEADLINE_MS),
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          authorization: `Bearer ${target.tokens[n % target.tokens.length]}`,
          'mcp-protocol-version': VERSION.modern,
          'mcp-method': 'tools/call',
          'mcp-name': name,
        },
      },
      (answer) => {
        if (answer.statusCode === 200) resolve(answer)
        else reject(new BenchError(`${name} was answered ${answer.statusCode}`))
      },
    )
    out.once('error', reject)
    out.end(JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }))
  })
}
