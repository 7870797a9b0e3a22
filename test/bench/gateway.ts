// The edge under test: started as an operator starts it, configured through its admin API, guarded by a real issuer.
// Audit events are counted as they are printed and not kept.
import type { JSONWebKeySet } from 'jose'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { serve } from '../../cli/serve.ts'
import { startIssuer } from '../issuer.ts'
import { GROUP, NAMESPACE, SCOPE } from './manifests.ts'
import type { Manifest } from './manifests.ts'
import { BenchError } from './rounds.ts'
import { User, readPage } from './user.ts'
import type { Era, Target } from './user.ts'

export interface Gateway {
  readonly url: string
  readonly pid: number
  /** What a load generator needs to be callers at one virtual server: `principals` of them, 16 when not said. */
  target(name: string, era: Era, tool: string, principals?: number): Promise<Target>
  apply(manifests: readonly Manifest[]): Promise<void>
  /** Adds a cluster; resolves with the token by which it joins. */
  join(cluster: string): Promise<string>
  /** What the edge's assertions are checked with. */
  keys(): Promise<JSONWebKeySet>
  /** Waits until the virtual server lists so many tools on all its pages. */
  listed(target: Target, tools: number): Promise<FirstPage>
  /** Audit events printed so far. */
  events(): number
  close(): Promise<void>
}

/** The first page of a list: the raw reply as latin1 text, and how many tools it holds. */
export interface FirstPage {
  readonly body: string
  readonly tools: number
}

/** How many principals call: every virtual user takes one of their tokens. */
const PRINCIPALS = 16
/** Resources per request of the admin API, which takes 4 MiB at most. */
const BATCH = 1000
const MAX_PAGES = 100
const CATALOG_DEADLINE_MS = 180_000
const REQUEST_DEADLINE_MS = 60_000
const TOKEN_SECONDS = 7200

export async function startGateway(): Promise<Gateway> {
  const issuer = await startIssuer()
  const stateDir = await mkdtemp(join(tmpdir(), 'waggle-bench-'))
  let events = 0
  const onLine = (line: string): void => {
    if (line.includes('"audit_event"')) events++
  }
  const vars = { OIDC_ISSUER: issuer.url, ALLOW_LOOPBACK: 'true' }
  const edge = await serve({ port: 0, stateDir, vars, onLine })
  const token = (audience: string, claims: object): Promise<string> =>
    issuer.token(audience, { exp: Math.floor(Date.now() / 1000) + TOKEN_SECONDS, ...claims })
  const admin = async (method: string, path: string, body: object): Promise<unknown> => {
    const authorization = `Bearer ${await token(`${edge.url}/admin`, { sub: 'operator', scope: 'waggle:admin' })}`
    return json(
      fetch(`${edge.url}/admin/v1${path}`, {
        method,
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(REQUEST_DEADLINE_MS),
      }),
    )
  }
  return {
    url: edge.url,
    pid: edge.pid,
    target: async (name, era, tool, principals = PRINCIPALS) => {
      const url = `${edge.url}/${NAMESPACE}/${name}/mcp`
      const tokens = await Promise.all(
        Array.from({ length: principals }, (_, index) =>
          token(url, { sub: `user-${index}`, scope: SCOPE, groups: [GROUP] }),
        ),
      )
      return { url, era, tokens, tool, sessions: true }
    },
    apply: async (manifests) => {
      for (let from = 0; from < manifests.length; from += BATCH)
        await admin('PUT', '/resources', { resources: manifests.slice(from, from + BATCH) })
    },
    join: async (cluster) => {
      await admin('PUT', `/clusters/${cluster}`, { method: 'join-token', allow: {} })
      return ((await admin('POST', `/clusters/${cluster}/token`, {})) as { readonly token: string }).token
    },
    keys: async () => (await json(fetch(`${edge.url}/.well-known/jwks.json`))) as JSONWebKeySet,
    listed,
    events: () => events,
    close: async () => {
      await edge.close()
      await issuer.close()
      await rm(stateDir, { recursive: true, force: true })
    },
  }
}

async function json(asked: Promise<Response>): Promise<unknown> {
  const answer = await asked
  const text = await answer.text()
  if (!answer.ok) throw new BenchError(`${answer.url} answered ${answer.status}: ${text.slice(0, 1000)}`)
  return JSON.parse(text)
}

async function listed(target: Target, tools: number): Promise<FirstPage> {
  const deadline = performance.now() + CATALOG_DEADLINE_MS
  for (;;) {
    const found = await attempt(target)
    if (found.total === tools) return found.first
    if (performance.now() > deadline) {
      throw new BenchError(
        `${target.url} should list ${tools} tools, not ${found.total}: ${found.first.body.slice(0, 300)}`,
      )
    }
    await sleep(200)
  }
}

/** All pages of one list; `total` is -1 and the body says why when that failed. */
async function attempt(target: Target): Promise<{ readonly total: number; readonly first: FirstPage }> {
  const user = new User(target, 0)
  try {
    await user.open()
    const body = await user.page(undefined)
    let { tools: total, nextCursor } = readPage(body)
    const first = { body, tools: total }
    for (let page = 1; nextCursor !== undefined && page < MAX_PAGES; page++) {
      const next = readPage(await user.page(nextCursor))
      total += next.tools
      nextCursor = next.nextCursor
    }
    return { total, first }
  } catch (error) {
    return { total: -1, first: { body: String(error), tools: 0 } }
  } finally {
    user.close()
  }
}
