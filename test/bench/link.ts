// What the link costs: one edge, one proxy in front of one server, called by direct HTTP from the edge and over the link of a cluster
// that joined, in turns. Then many streams at once, results of many megabytes, and a reader that stops reading.
import { proxyConfig, server } from '../proxy/configs.ts'
import { startProxy } from '../proxy/proxy.ts'
import { Child } from './child.ts'
import { measureFlows, type FlowPlan, type Flows, type Watched } from './flows.ts'
import { startGateway, type Gateway } from './gateway.ts'
import type { Joined, JoinOrder } from './joined.ts'
import { linked, NAMESPACE } from './manifests.ts'
import type { Calls, LinkResults } from './results.ts'
import { BenchError, compare, type Pace } from './rounds.ts'
import type { Era } from './user.ts'

export interface LinkPlan {
  readonly users: readonly number[]
  readonly eras: readonly Era[]
  readonly flows: FlowPlan
}

const SIDES = ['http', 'link'] as const
const TOOLS = 30
const FLOW = 'flow-proxied'

export async function measureLink(
  plan: LinkPlan,
  pace: Pace,
  backend: string,
  load: Child,
  say: (text: string) => void,
): Promise<LinkResults> {
  const closing: (() => Promise<void>)[] = []
  try {
    const gateway = await startGateway()
    closing.push(() => gateway.close())
    const calls: Calls[] = []
    for (const era of plan.eras) {
      const { close } = await startCluster(gateway, backend, era, `proxied-${era}`)
      closing.push(close)
      const targets = SIDES.map(async (name) => {
        const target = await gateway.target(`${name}-proxied-${era}`, era, 'echo')
        await gateway.listed(target, TOOLS)
        return { name, target, pid: gateway.pid }
      })
      const sides = await Promise.all(targets)
      for (const users of plan.users) {
        say(`tools/call, ${era}, ${users} users, directly and over the link`)
        calls.push({ era, users, rows: await compare(load, sides, 'call', users, pace) })
      }
    }
    const { close, watched } = await startCluster(gateway, backend, 'modern', FLOW)
    closing.push(close)
    const flows = new Map<string, Flows>()
    // Once to warm up all that is on the way, once to measure.
    for (const name of [...SIDES, ...SIDES]) {
      say(`${plan.flows.streams} streams, large results and a slow reader, ${name}`)
      const target = await gateway.target(`${name}-${FLOW}`, 'modern', '')
      await gateway.listed(target, 3)
      flows.set(name, await measureFlows(name, target, backend, { edge: gateway.pid, ...watched }, plan.flows))
    }
    return { calls, flows: [...flows.values()], streams: plan.flows.streams }
  } finally {
    for (const close of closing.toReversed()) await close()
  }
}

/** A proxy that anybody may call, and an uplink that publishes its server; the edge has both: `http-<name>` and `link-<name>`. */
async function startCluster(
  gateway: Gateway,
  backend: string,
  era: Era,
  name: string,
): Promise<{ readonly close: () => Promise<void>; readonly watched: Watched }> {
  const address = `${backend}/${era}/${TOOLS}/${name}`
  const proxy = await startProxy({
    config: proxyConfig(
      {
        name,
        servers: [server(`${NAMESPACE}/${name}`, address)],
        signers: [{ issuer: 'edge', uses: ['call'], jwks: await gateway.keys() }],
      },
      { self: { cluster: name, kind: 'MCPServer', namespace: NAMESPACE, name }, audit: { enabled: false } },
    ),
  })
  const { child } = await Child.start('joined.ts')
  const close = async (): Promise<void> => {
    await child.stop()
    await proxy.close()
  }
  try {
    const { published, manifests } = linked(name, proxy.mcp)
    const catalog = await catalogOf(`${backend}/modern/${TOOLS}/${name}`, era)
    const token = await gateway.join(name)
    const order: JoinOrder = { edge: gateway.url, cluster: name, token, manifest: published, catalog, proxy: proxy.mcp }
    const { dropped } = await child.ask<Joined>(order, 20_000)
    if (dropped > 0) throw new BenchError('the edge does not list what the cluster publishes')
    await gateway.apply(manifests)
    return { close, watched: { uplink: child.pid, proxy: proxy.pid } }
  } catch (error) {
    await close()
    throw error
  }
}

/** What the proxy would publish of its server. */
async function catalogOf(url: string, era: Era): Promise<string> {
  const listing = await fetch(url, {
    method: 'POST',
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
    signal: AbortSignal.timeout(5_000),
  })
  const { result } = (await listing.json()) as { readonly result: { readonly tools: readonly unknown[] } }
  return JSON.stringify({
    tools: result.tools,
    prompts: [],
    resources: [],
    resourceTemplates: [],
    era,
    revision: era === 'modern' ? '2026-07-28' : '2025-11-25',
    capabilities: { tools: {} },
    ttlMs: 600_000,
  })
}
