// What callers did, to be compared with what each hop wrote down: the edge on its standard output, the proxies in the logs of their pods.

import type { AuditEvent } from '../edge.ts'
import { exchange, type Exchange } from '../peers/wire.ts'
import { CHAOS } from './link-chaos.ts'
import { NAMESPACE, type Scene, type Site, type SiteName } from './scene.ts'

interface Made {
  /** Undefined: nobody that is let in. */
  readonly user: string | undefined
  readonly tool: string
  /** As the edge is to record it. */
  readonly outcome: 'success' | 'denied' | 'failure' | 'error'
}

const extraOf = (event: AuditEvent): Readonly<Record<string, unknown>> =>
  (event['metadata'] as { extra: Record<string, unknown> }).extra
const userOf = (event: AuditEvent): string | undefined => (event['subjects'] as Record<string, string>)['user']
const toolOf = (event: AuditEvent): string => (event['target'] as Record<string, string>)['name'] ?? ''
/** Those of chaos are counted there. */
const isCall = (event: AuditEvent): boolean => event.type === 'mcp_tool_call' && userOf(event) !== CHAOS
/** What nobody may do is refused before it is read, so that its event says no more than that. */
const isTurnedAway = (event: AuditEvent): boolean => event.type === 'http_request' && event.outcome === 'denied'

export class Ledger {
  readonly #scene: Scene
  readonly #made: Made[] = []
  /** Lines of the logs of proxies, by cluster. */
  readonly #logs: Readonly<Record<SiteName, Set<string>>> = { dev: new Set(), prod: new Set() }

  constructor(scene: Scene) {
    this.#scene = scene
  }

  /** Notes a call that is made in another way than by `call`. */
  note(made: Made): void {
    this.#made.push(made)
  }

  /** Calls a tool with a token, and notes it. */
  async call(
    url: string,
    token: string | undefined,
    tool: string,
    args: Readonly<Record<string, unknown>>,
    noted: Omit<Made, 'tool'>,
  ): Promise<Exchange> {
    this.note({ tool, ...noted })
    return exchange(url, { method: 'tools/call', token, params: { name: tool, arguments: args } })
  }

  /** Reads the logs of all proxies that there are; before one of them goes. */
  async collect(): Promise<void> {
    const read = async ({ name, kubectl }: Site): Promise<void> => {
      const logs = await kubectl(['logs', '-n', NAMESPACE, '-l', 'waggle.dev/role=proxy', '--tail=-1', '--prefix'])
      for (const line of logs.split('\n')) if (line.includes('"audit_event"')) this.#logs[name].add(line)
    }
    await Promise.all(Object.values(this.#scene.sites).map(read))
  }

  /** Calls as they were made, and as the edge wrote them down, each as a sorted list. */
  atEdge(): { made: string[]; written: string[] } {
    const events = this.#scene.edge.audit().filter((event) => isCall(event) || isTurnedAway(event))
    return {
      made: this.#made
        .map(({ user, tool, outcome }) => `${user} ${user === undefined ? '' : tool} ${outcome}`)
        .toSorted(),
      written: events.map((event) => `${userOf(event)} ${toolOf(event)} ${event.outcome}`).toSorted(),
    }
  }

  /**
   * Calls as the edge says it sent them into clusters, and as the proxies there wrote them down, with one id. Whether one that failed on its
   * way was sent, only the proxy knows.
   */
  inClusters(): { sent: string[]; written: string[] } {
    const written = Object.entries(this.#logs).flatMap(([place, lines]) =>
      [...lines]
        .map((line) => JSON.parse(line.slice(line.indexOf('{'))) as AuditEvent)
        .filter((event) => isCall(event) && (event['subjects'] as Record<string, string>)['asserted_by'] === 'edge')
        .map((event) => `${event.audit_id} ${place} ${userOf(event)}`),
    )
    const arrived = new Set(written)
    const sent = this.#scene.edge
      .audit()
      .filter(isCall)
      .flatMap((event) => {
        const { cluster, clusters } = extraOf(event)
        const places = String(clusters ?? cluster ?? '').split(',')
        const calls = places.filter(Boolean).map((place) => `${event.audit_id} ${place} ${userOf(event)}`)
        return event.outcome === 'error' ? calls.filter((one) => arrived.has(one)) : calls
      })
    return { sent: sent.toSorted(), written: written.toSorted() }
  }
}
