// What one run of the benchmark found, and which of the bars it meets. Pure: the report prints it, the tests feed it.
import type { Flows } from './flows.ts'
import type { Row } from './rounds.ts'
import { ratio } from './stats.ts'
import type { Ratio } from './stats.ts'
import type { Era } from './user.ts'

/** Calls of one era by so many users: rows `direct`, `relay`, `gateway`. */
export interface Calls {
  readonly era: Era
  readonly users: number
  readonly rows: readonly Row[]
}

/** Lists of so many tools: rows `static`, `gateway`. */
export interface Lists {
  readonly era: Era
  readonly users: number
  /** How many servers the tools come from. */
  readonly servers: number
  /** Tools on the page that is measured, the first. */
  readonly tools: number
  readonly rows: readonly Row[]
}

/** Calls of a tool that asks its caller, by legacy sessions; the last row is the gateway, the one before its baseline. */
export interface Asks {
  /** Era of the server. */
  readonly server: Era
  readonly users: number
  readonly rows: readonly Row[]
}

/** Idle streams of one era, each of a user of its own. */
export interface Streams {
  readonly era: Era
  readonly streams: number
  readonly openSeconds: number
  /** CPU per stream, sessions included. */
  readonly openCpuMs: number
  /** Resident memory per stream. */
  readonly kibPerStream: number
  /** CPU of the whole process at rest, before the streams and with them. */
  readonly cpuMsPerSecond: { readonly before: number; readonly after: number }
}

/** Calls beside idle streams: rows `without`, `with`. */
export interface StreamCalls {
  readonly era: Era
  readonly users: number
  readonly rows: readonly Row[]
}

export interface StreamResults {
  readonly held: readonly Streams[]
  /** Durable Objects that hold all of them. */
  readonly objects: number
  readonly calls: readonly StreamCalls[]
}

export interface Startup {
  /** Milliseconds from spawning workerd to the first 200. */
  readonly gatewayMs: number
  readonly staticMs: number
  readonly bundleBytes: number
  readonly gzipBytes: number
  /** Active milliseconds by `wrangler check startup`; undefined when it could not run. */
  readonly activeMs: number | undefined
}

export interface Rest {
  /** From applying the servers to complete catalogs. */
  readonly discoverySeconds: number
  readonly cpuMsPerSecond: number
  readonly residentMib: number
  /** Of the relay after its calls, which shows how much of it is workerd itself under load. */
  readonly relayResidentMib: number
}

/** The same proxy by direct HTTP from the edge (first row) and over the link (second). */
export interface LinkResults {
  readonly calls: readonly Calls[]
  readonly flows: readonly Flows[]
  /** Streams at once in `flows`. */
  readonly streams: number
}

export interface Results {
  readonly machine: { readonly cores: number; readonly node: string; readonly workerd: string }
  readonly calls: readonly Calls[]
  readonly asks: readonly Asks[]
  readonly link: LinkResults
  readonly streams: StreamResults
  readonly lists: readonly Lists[]
  readonly sizes: readonly Lists[]
  /** Requests for tool lists that the backend got while lists were measured, and the lists that were served then. */
  readonly refreshes: { readonly seen: number; readonly served: number }
  /** Audit events that the gateway printed while calls were measured, and the requests it got then. */
  readonly audit: { readonly events: number; readonly requests: number }
  /** The gateway once all servers of `sizes` are known and their lists were measured. */
  readonly rest: Rest
  readonly startup: Startup
  readonly rounds: number
}

/** p50 and calls per second over the link, × direct HTTP. */
export function linkCost({ rows }: Calls): { readonly p50: number; readonly rate: number } {
  const [direct, linked] = rows
  if (direct === undefined || linked === undefined) return { p50: NaN, rate: NaN }
  return { p50: linked.p50 / direct.p50, rate: linked.perSecond / direct.perSecond }
}

export interface Bar {
  readonly what: string
  readonly bar: string
  readonly measured: string
  readonly met: boolean
}

/** CPU per operation of the last row as a multiple of the row before it: gateway by relay, gateway by static Worker. */
export function cost(rows: readonly Row[]): Ratio {
  return ratio(rows.at(-1)?.cpuMsByRound ?? [], rows.at(-2)?.cpuMsByRound ?? [])
}

/** CPU microseconds per tool that a list returns. */
export function perTool(lists: Lists, row: Row | undefined): number {
  return ((row?.cpuMs ?? Number.NaN) * 1000) / lists.tools
}

/** How many times the latency that the relay adds to the direct call the gateway adds, in milliseconds of p50. */
export function added(calls: Calls): { readonly relay: number; readonly gateway: number } {
  const [direct, relay, gateway] = calls.rows
  if (direct === undefined || relay === undefined || gateway === undefined) return { relay: NaN, gateway: NaN }
  return { relay: relay.p50 - direct.p50, gateway: gateway.p50 - direct.p50 }
}

const CALL_BARS = { modern: 1.5, legacy: 2 } as const
const LIST_BAR = 2
const LINK_P50 = 2
const LINK_RATE = 0.5
const LINK_USERS = 16
const ADDED_MS = 0.2
/** "Flat" with room for noise: the cost per tool with most servers, as a multiple of that with fewest. */
const FLAT = 1.25
const MIB = 1024 * 1024

/** Every bar with its worst row: a bar is met when all rows meet it. */
export function bars(results: Results): Bar[] {
  const calls = (['modern', 'legacy'] as const).map((era): Bar => {
    const rows = results.calls.filter((each) => each.era === era)
    const ratios = rows.map((each) => cost(each.rows).median)
    return {
      what: `CPU per ${era} \`tools/call\`, × bare relay`,
      bar: `≤ ${CALL_BARS[era]}`,
      measured: rows.map((each, index) => `${fixed(ratios[index])} (${each.users} users)`).join(', '),
      met: ratios.length > 0 && ratios.every((value) => value <= CALL_BARS[era]),
    }
  })
  const single = results.calls.find((each) => each.era === 'modern' && each.users === 1)
  const latency = single === undefined ? { relay: NaN, gateway: NaN } : added(single)
  const lists = [...new Set(results.lists.map((each) => each.tools))].map((tools): Bar => {
    const rows = results.lists.filter((each) => each.tools === tools)
    const ratios = rows.map((each) => cost(each.rows).median)
    return {
      what: `CPU per \`tools/list\` of ${tools} tools, × static Worker`,
      bar: `≤ ${LIST_BAR}`,
      measured: rows.map((each, index) => `${fixed(ratios[index])} (${each.era}, ${each.users} users)`).join(', '),
      met: ratios.length > 0 && ratios.every((value) => value <= LIST_BAR),
    }
  })
  const [fewest, most] = [results.sizes[0], results.sizes.at(-1)]
  const growth = ratio(most?.rows.at(-1)?.cpuMsByRound ?? [], fewest?.rows.at(-1)?.cpuMsByRound ?? []).median
  return [
    ...calls,
    {
      what: 'p50 that the gateway adds to a modern call, 1 user',
      bar: `≤ relay's ${fixed(latency.relay)} ms + ${ADDED_MS} ms`,
      measured: `${fixed(latency.gateway)} ms`,
      met: latency.gateway <= latency.relay + ADDED_MS,
    },
    ...linkBars(results.link),
    ...lists,
    {
      what: `CPU per list of ${most?.tools ?? 0} tools, ${most?.servers ?? 0} servers × ${fewest?.servers ?? 0} servers`,
      bar: `flat (≤ ${FLAT})`,
      measured: fixed(growth),
      met: growth <= FLAT,
    },
    {
      what: 'Bundle, gzip',
      bar: '≤ 1 MiB',
      measured: `${fixed(results.startup.gzipBytes / MIB)} MiB`,
      met: results.startup.gzipBytes <= MIB,
    },
  ]
}

function linkBars({ calls }: LinkResults): Bar[] {
  const said = (each: Calls, value: number) => `${fixed(value)} (${each.era}, ${each.users} users)`
  const many = calls.filter(({ users }) => users === LINK_USERS)
  return [
    {
      what: 'p50 of `tools/call` over the link, × direct HTTP to the same proxy',
      bar: `≤ ${LINK_P50}`,
      measured: calls.map((each) => said(each, linkCost(each).p50)).join(', '),
      met: calls.length > 0 && calls.every((each) => linkCost(each).p50 <= LINK_P50),
    },
    {
      what: 'calls/s over the link, × direct HTTP to the same proxy',
      bar: `≥ ${LINK_RATE}`,
      measured: many.map((each) => said(each, linkCost(each).rate)).join(', '),
      met: many.length > 0 && many.every((each) => linkCost(each).rate >= LINK_RATE),
    },
  ]
}

/** Two decimals, three for what is below 0.1. */
export function fixed(value: number | undefined): string {
  if (value === undefined || Number.isNaN(value)) return '–'
  return value.toFixed(Math.abs(value) < 0.1 ? 3 : 2)
}
