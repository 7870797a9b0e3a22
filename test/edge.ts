// The real edge on workerd for tests, with an issuer of its own, configured through its admin API like any other edge.

import type { JWTPayload } from 'jose'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve } from '../cli/serve.ts'
import { adminOf, type Admin } from './admin.ts'
import { startIssuer } from './issuer.ts'
import type { Issuer } from './issuer.ts'
import type { Manifest } from './peers/manifests.ts'
import { exchange, toolNames } from './peers/wire.ts'

export interface EdgeOptions {
  readonly resources?: readonly Manifest[]
  readonly vars?: Readonly<Record<string, string>>
  /** Default: the embedded Durable Object. */
  readonly store?: 'durable' | { readonly url: string; readonly token: string }
  /** Default: one of its own, closed with the edge. Several edges may share one. */
  readonly issuer?: Issuer
  /** Default: a new folder, removed with the edge. */
  readonly stateDir?: string
}

/** An audit event as written: one JSON line. */
export interface AuditEvent {
  readonly audit_id: string
  readonly type: string
  readonly outcome: string
  readonly [field: string]: unknown
}

export interface TestEdge extends Admin {
  readonly url: string
  /** Of workerd, to look at its memory. */
  readonly pid: number
  readonly issuer: Issuer
  /** URL of an endpoint: `endpoint('tools')` is `${url}/test/tools/mcp`. */
  endpoint(name: string): string
  /** A token for the endpoint at `audience` (a URL). */
  token(audience: string, claims?: JWTPayload): Promise<string>
  secret(name: string, data: Readonly<Record<string, string>>): Promise<void>
  /** Waits (60 s) until an endpoint lists these tools, among others. Returns all names listed. */
  lists(endpoint: string, tools: readonly string[]): Promise<string[]>
  /** Audit events so far, oldest first. */
  audit(): AuditEvent[]
  /** How many audit events there are, once none has come for a moment. */
  settled(): Promise<number>
  /** Waits (30 s) for an audit event. */
  audited(match: (event: AuditEvent) => boolean): Promise<AuditEvent>
  /** Everything the edge printed. */
  lines(): readonly string[]
  close(): Promise<void>
}

/** Starts workerd on a free loopback port and applies the resources. */
export async function startEdge(options: EdgeOptions = {}): Promise<TestEdge> {
  const issuer = options.issuer ?? (await startIssuer())
  const stateDir = options.stateDir ?? (await mkdtemp(join(tmpdir(), 'waggle-test-')))
  const lines: string[] = []
  const upstash = typeof options.store === 'object' ? options.store : undefined
  const vars = {
    OIDC_ISSUER: issuer.url,
    ALLOW_LOOPBACK: 'true',
    // Every event is a line at once, so that tests can count them.
    AUDIT_BATCH_MS: '0',
    ...(upstash && { UPSTASH_REDIS_REST_URL: upstash.url, UPSTASH_REDIS_REST_TOKEN: upstash.token }),
    ...options.vars,
  }
  const release = async (): Promise<void> => {
    if (options.issuer === undefined) await issuer.close()
    if (options.stateDir === undefined) await rm(stateDir, { recursive: true, force: true })
  }
  const served = await serve({ port: 0, stateDir, vars, onLine: (line) => void lines.push(line) }).catch(
    async (cause: unknown) => {
      await release()
      throw cause
    },
  )
  const { url } = served

  const edge: TestEdge = {
    url,
    pid: served.pid,
    issuer,
    endpoint: (name) => `${url}/test/${name}/mcp`,
    token: (aud, claims) => issuer.token(aud, claims),
    ...adminOf(url, issuer),
    secret: async (name, data) => {
      const response = await edge.admin('PUT', `/admin/v1/secrets/test/${name}`, { data })
      if (!response.ok) throw new Error(`secret: ${response.status} ${await response.text()}`)
      await response.body?.cancel()
    },
    lists: (endpoint, tools) => untilListed(endpoint, tools, () => issuer.token(endpoint)),
    audit: () => lines.flatMap((line) => parseEvent(line)),
    settled: async () => {
      for (let known = -1; ; await sleep(250)) {
        const { length } = edge.audit()
        if (length === known) return length
        known = length
      }
    },
    audited: async (match) => {
      const deadline = Date.now() + 30_000
      for (;;) {
        const found = edge.audit().find((event) => match(event))
        if (found !== undefined) return found
        if (Date.now() > deadline) throw new Error(`no such audit event among:\n${lines.slice(-20).join('\n')}`)
        await sleep(50)
      }
    },
    lines: () => lines,
    close: async () => {
      await served.close()
      await release()
    },
  }
  try {
    if (options.resources !== undefined) await edge.apply(options.resources)
  } catch (cause) {
    await edge.close()
    throw cause
  }
  return edge
}

async function untilListed(
  endpoint: string,
  tools: readonly string[],
  token: () => Promise<string>,
): Promise<string[]> {
  const deadline = Date.now() + 60_000
  for (;;) {
    const list = await exchange(endpoint, { method: 'tools/list', token: await token() })
    const names = toolNames(list)
    if (list.answer?.result !== undefined && tools.every((tool) => names.includes(tool))) return names
    if (Date.now() > deadline) {
      throw new Error(`${endpoint} does not list ${tools.join(', ')}: ${list.status} ${list.body.slice(0, 2000)}`)
    }
    await sleep(100)
  }
}

function parseEvent(line: string): AuditEvent[] {
  if (!line.includes('"audit_event"')) return []
  try {
    return [JSON.parse(line.slice(line.indexOf('{'))) as AuditEvent]
  } catch {
    return []
  }
}
