// One client that listens: a legacy session's GET stream, or a modern `subscriptions/listen`. Knows what it was told last
// and writes what is news, in its client's words.

import { resultText } from '../../protocol/envelope.ts'
import { META, PRIMES_SINCE } from '../../protocol/revision.ts'
import { sseComment, sseEvent, sseMessage } from '../../protocol/sse.ts'
import type { Guard } from '../auth/guard.ts'
import type { Endpoint } from '../endpoint.ts'
import type { Principal } from '../principal.ts'
import type { Budget } from './budget.ts'
import type { StreamRequest } from './channel.ts'
import { History } from './history.ts'
import { Outlet } from './outlet.ts'

/** The lists that a client can hear of, and the sections of the catalog that each shows. */
const LISTS = {
  tools: { filter: 'toolsListChanged', sections: ['tools'] },
  prompts: { filter: 'promptsListChanged', sections: ['prompts'] },
  resources: { filter: 'resourcesListChanged', sections: ['resources', 'templates'] },
} as const
type List = keyof typeof LISTS
const NAMES = Object.keys(LISTS) as List[]

export class Subscriber {
  request: StreamRequest
  principal: Principal
  endpoint: Endpoint
  guard: Guard
  checkedAt: number
  readonly openedAt: number
  /** When the last stream ended; undefined while one is open. */
  leftAt: number | undefined
  /** Exposed URIs of the resources to hear of. */
  uris: ReadonlySet<string> = new Set()
  readonly #history: History | undefined
  readonly #known = new Map<List, string>()
  readonly #budget: Budget
  /** Somebody looks whether it may go on. */
  checking = false
  #outlet: Outlet | undefined

  constructor(request: StreamRequest, endpoint: Endpoint, principal: Principal, now: number, budget: Budget) {
    this.#budget = budget
    this.request = request
    this.endpoint = endpoint
    this.guard = endpoint.guard
    this.principal = principal
    this.checkedAt = now
    this.openedAt = now
    this.#history = request.session === undefined ? undefined : new History(budget)
    this.#look()
  }

  /** The client of a session is back, with a credential and an endpoint that may be new. */
  again(request: StreamRequest, endpoint: Endpoint, principal: Principal, now: number): void {
    this.request = request
    this.principal = principal
    this.checkedAt = now
    this.look(endpoint)
  }

  /** A new stream for this client; an older one ends. `left` is called when the stream has. */
  open(left: () => void): ReadableStream<Uint8Array> {
    const previous = this.#outlet
    const outlet = new Outlet(this.#budget, () => {
      if (this.#outlet !== outlet) return
      this.#outlet = undefined
      left()
    })
    this.#outlet = outlet
    this.leftAt = undefined
    previous?.close()
    return outlet.readable
  }

  /**
   * The first events of a stream: what its client missed, if it says what it had. True when it may have missed what is not
   * known: the id is too old, or a client that was here before comes without one.
   */
  greet(lastEvent: string | undefined, again: boolean): boolean {
    const history = this.#history
    if (history === undefined) return false
    const missed = lastEvent === undefined ? [] : history.after(lastEvent)
    const primed = (this.request.session?.revision ?? '') >= PRIMES_SINCE
    const from = missed === undefined ? undefined : lastEvent
    this.#outlet?.write(primed ? sseEvent(from ?? history.id) : sseComment)
    for (const { id, text } of missed ?? []) this.#outlet?.write(sseEvent(id, text))
    return missed === undefined || (again && lastEvent === undefined)
  }

  acknowledge(uris: readonly string[]): void {
    const { notifications = {} } = this.request.subscription ?? {}
    const lists = NAMES.filter((list) => notifications[LISTS[list].filter] === true)
    const honoured = {
      ...Object.fromEntries(lists.map((list) => [LISTS[list].filter, true])),
      ...(Array.isArray(notifications['resourceSubscriptions']) && { resourceSubscriptions: uris }),
    }
    this.#send('notifications/subscriptions/acknowledged', { notifications: honoured })
  }

  /** The endpoint as it is now: lists that differ from what the client was told are announced. */
  look(endpoint: Endpoint): void {
    this.endpoint = endpoint
    this.guard = endpoint.guard
    for (const list of this.#look()) this.#announce(list)
  }

  /** What happened meanwhile is unknown: everything may have changed. */
  missed(): void {
    for (const list of NAMES) this.#announce(list)
    for (const uri of this.uris) this.updated(uri)
  }

  updated(uri: string): void {
    this.#send('notifications/resources/updated', { uri })
  }

  /** A message for a legacy client, as text. */
  push(text: string): void {
    if (this.#history === undefined) return
    const id = this.#history.add(text)
    this.#outlet?.write(sseEvent(id, text))
  }

  keepAlive(): void {
    this.#outlet?.write(sseComment)
  }

  /** Ends the stream; a modern one with its result (MCP 2026-07-28, subscriptions). */
  close(): void {
    const { subscription } = this.request
    if (subscription !== undefined) {
      const result = `{"resultType":"complete","_meta":{"${META.subscription}":${subscription.id}}}`
      this.#outlet?.write(sseMessage(resultText(subscription.id, result)))
    }
    this.#outlet?.close()
    this.#history?.drop()
  }

  /** The lists that changed since the last look. */
  #look(): List[] {
    return NAMES.filter((list) => {
      const { projection } = this.endpoint
      const digest = LISTS[list].sections.map((section) => projection.digest(section, this.principal)).join()
      const before = this.#known.get(list)
      this.#known.set(list, digest)
      return before !== digest
    })
  }

  #announce(list: List): void {
    const { subscription } = this.request
    if (subscription !== undefined && subscription.notifications[LISTS[list].filter] !== true) return
    this.#send(`notifications/${list}/list_changed`)
  }

  #send(method: string, params: Readonly<Record<string, unknown>> = {}): void {
    const { subscription } = this.request
    if (subscription === undefined) {
      const hasParams = Object.keys(params).length > 0
      this.push(JSON.stringify({ jsonrpc: '2.0', method, ...(hasParams && { params }) }))
      return
    }
    const members = Object.entries(params).map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
    members.push(`"_meta":{"${META.subscription}":${subscription.id}}`)
    this.#outlet?.write(sseMessage(`{"jsonrpc":"2.0","method":"${method}","params":{${members.join(',')}}}`))
  }
}
