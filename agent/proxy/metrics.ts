// What a proxy counts, under ToolHive's names where it has one. Labels hold names of servers and tools that exist, and
// methods that are known: nothing that a caller can invent.

import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { AuditEvent } from '../../protocol/audit.ts'

const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export class Metrics {
  readonly #registry = new Registry()
  readonly #requests: Counter<'server' | 'mcp_method' | 'status'>
  readonly #durations: Histogram<'server' | 'mcp_method'>
  readonly #toolCalls: Counter<'server' | 'tool' | 'status'>
  readonly #backendErrors: Counter<'server' | 'reason'>
  readonly #isTool: (name: string) => boolean

  /** What changes by itself is asked for when somebody reads. */
  constructor(observed: {
    readonly connections: () => number
    /** Servers by key, with the state of their catalog. */
    readonly servers: () => Iterable<readonly [string, string]>
    /** Whether a tool of this exposed name exists. */
    readonly isTool: (name: string) => boolean
  }) {
    this.#isTool = observed.isTool
    const registers = [this.#registry]
    this.#requests = new Counter({
      name: 'toolhive_mcp_requests_total',
      help: 'MCP requests by method and outcome.',
      labelNames: ['server', 'mcp_method', 'status'],
      registers,
    })
    this.#durations = new Histogram({
      name: 'toolhive_mcp_request_duration_seconds',
      help: 'Time from a request to the end of its answer.',
      labelNames: ['server', 'mcp_method'],
      buckets: BUCKETS,
      registers,
    })
    this.#toolCalls = new Counter({
      name: 'toolhive_mcp_tool_calls_total',
      help: 'Calls of tools that exist.',
      labelNames: ['server', 'tool', 'status'],
      registers,
    })
    this.#backendErrors = new Counter({
      name: 'waggle_backend_errors_total',
      help: 'Requests that failed at or on the way to a server.',
      labelNames: ['server', 'reason'],
      registers,
    })
    const connections = new Gauge({
      name: 'toolhive_mcp_active_connections',
      help: 'Requests and streams that are open now.',
      registers: [],
      collect() {
        this.set(observed.connections())
      },
    })
    const servers = new Gauge({
      name: 'waggle_servers',
      help: 'Servers behind this endpoint, by whether their catalog could be had.',
      labelNames: ['server', 'state'],
      registers: [],
      collect() {
        this.reset()
        for (const [server, state] of observed.servers()) this.set({ server, state }, 1)
      },
    })
    const memory = new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Resident memory size in bytes.',
      registers: [],
      collect() {
        this.set(process.memoryUsage.rss())
      },
    })
    for (const gauge of [connections, servers, memory]) this.#registry.registerMetric(gauge)
  }

  /** Counts a request by its audit event. */
  observe({ type, outcome, target, metadata }: AuditEvent): void {
    const { duration_ms: duration, backend_name: backend, reason } = metadata.extra
    const server = typeof backend === 'string' ? backend : ''
    // The event's type stands for the method: there are a handful.
    this.#requests.inc({ server, mcp_method: type, status: outcome })
    if (typeof duration === 'number') this.#durations.observe({ server, mcp_method: type }, duration / 1000)
    const { name: tool = '' } = target
    if (type === 'mcp_tool_call' && this.#isTool(tool)) this.#toolCalls.inc({ server, tool, status: outcome })
    if (typeof reason === 'string' && reason.startsWith('backend_')) this.#backendErrors.inc({ server, reason })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    return this.#registry.metrics()
  }
}
