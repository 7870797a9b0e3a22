// The servers' own streams that a hub holds: opened for whoever wants to hear, shared where a server does not care who
// listens, let go of with the last one. What a server says reaches those who may hear it, and nobody else.

import type { Message } from '../../protocol/envelope.ts'
import { mayUse } from '../answer.ts'
import { pose } from '../ask.ts'
import type { Guard } from '../auth/guard.ts'
import { decline } from '../backend/handshake.ts'
import type { Owner } from '../backend/upstream.ts'
import { decideSubscription } from '../decide.ts'
import { offersSubscriptions, soleFor, visibleServers, type Endpoint, type Target } from '../endpoint.ts'
import type { Clock } from '../ports.ts'
import type { Principal } from '../principal.ts'
import type { Sealer } from '../seal.ts'
import { ownerOf } from '../session.ts'
import { RecentQuestions } from './questions.ts'
import type { Subscriber } from './subscriber.ts'
import { Watch } from './watch.ts'

/** Resources that one shared stream of a server is about. */
const MAX_SHARED_URIS = 1024
/** Servers whose own streams one client can cause. */
const MAX_WATCHES_OF_ONE = 32
const ANSWER_MS = 10_000
/** Longest message of a server that is passed on, in characters: each may wait for a client that reads slowly. */
const MAX_PUSHED = 128 * 1024

export interface ServersHost {
  readonly sealer: Sealer
  readonly now: Clock
  /** The server says that its catalog changed. */
  changed(server: string): void
}

interface Watched {
  readonly watch: Watch
  /** Who wants to hear of which of the server's URIs, and how each client calls them. */
  readonly wants: Map<Subscriber, ReadonlyMap<string, string>>
}

export class Servers {
  readonly #host: ServersHost
  readonly #watches = new Map<string, Watched>()
  /** Shared streams whose resources changed since the last round. */
  readonly #unaimed = new Set<Watched>()
  readonly #generations = new WeakMap<Guard, number>()
  #generation = 0

  constructor(host: ServersHost) {
    this.#host = host
  }

  /** The subscriber's session has a session at this server now. Resolves when that is listened to, soon in any case. */
  async attach(subscriber: Subscriber, server: string): Promise<void> {
    for (const target of subscriber.endpoint.targets(server)) {
      const watched = this.#watches.get(this.#watchKey(target, subscriber, true))
      if (watched === undefined) this.follow(subscriber)
      else await watched.watch.attach()
    }
  }

  /** Shared streams turn to what their subscribers want by now. */
  aim(): void {
    for (const watched of this.#unaimed) aim(watched)
    this.#unaimed.clear()
  }

  /** Opens and closes servers' streams as this subscriber needs them. Returns the URIs of which it will hear. */
  follow(subscriber: Subscriber): ReadonlySet<string> {
    const heard = new Set<string>()
    const wanted = new Map<string, { target: Target; legacy: boolean; server: string; uris: Map<string, string> }>()
    const want = (server: string, target: Target, legacy: boolean): Map<string, string> | undefined => {
      const key = this.#watchKey(target, subscriber, legacy)
      const known = wanted.get(key)
      if (known === undefined && wanted.size >= MAX_WATCHES_OF_ONE) return undefined
      const one = known ?? { target, legacy, server, uris: new Map<string, string>() }
      wanted.set(key, one)
      return one.uris
    }
    const { endpoint, principal, request } = subscriber
    for (const uri of subscriber.uris) {
      const route = decideSubscription(uri, {
        catalog: endpoint.catalog,
        principal,
        sole: soleFor(endpoint, principal),
      })
      const server = route === undefined ? undefined : endpoint.catalog.servers.get(route.server)
      if (route === undefined || server === undefined || !offersSubscriptions(server)) continue
      const target = endpoint.target(route.server, route.via)
      const uris = want(route.server, target, server.era === 'legacy')
      uris?.set(route.rename?.value ?? uri, uri)
      if (uris !== undefined) heard.add(uri)
    }
    if (request.session !== undefined) {
      // A legacy server may say something on its own wherever the session has been.
      for (const [server, { era }] of visibleServers(endpoint, principal)) {
        if (wanted.size >= MAX_WATCHES_OF_ONE) break
        if (era === 'legacy') for (const target of usable(endpoint, principal, server)) want(server, target, true)
      }
    }
    this.release(subscriber, new Set(wanted.keys()))
    for (const [key, { target, legacy, server, uris }] of wanted) {
      const known = this.#watches.get(key)
      const watched = known ?? this.#watch(key, server, target, legacy, subscriber)
      watched.wants.set(subscriber, uris)
      // A stream that many share begins anew when its resources change: once in a round, whoever changes what.
      if (known === undefined || legacy) aim(watched)
      else this.#unaimed.add(watched)
    }
    return heard
  }

  #watch(key: string, server: string, target: Target, legacy: boolean, subscriber: Subscriber): Watched {
    const owner = watcher(target, subscriber, legacy)
    const questions = new RecentQuestions()
    const wants: Watched['wants'] = new Map()
    const watch = new Watch(target.backend, owner, legacy, {
      heard: (message) => this.#heard(message, server, target, wants, questions),
      missed: () => {
        for (const [one, uris] of wants) for (const exposed of uris.values()) one.updated(exposed)
      },
    })
    const watched = { watch, wants }
    this.#watches.set(key, watched)
    void watch.run()
    return watched
  }

  /** The subscriber no longer wants to hear of anything but these streams. */
  release(subscriber: Subscriber, kept: ReadonlySet<string> = new Set()): void {
    for (const [key, watched] of this.#watches) {
      const { watch, wants } = watched
      if (kept.has(key) || !wants.delete(subscriber)) continue
      if (wants.size > 0) {
        this.#unaimed.add(watched)
        continue
      }
      watch.stop()
      this.#watches.delete(key)
      this.#unaimed.delete(watched)
    }
  }

  /**
   * Who shares a stream: most modern servers do not care who listens, legacy ones speak on a session. Another configuration may
   * mean another address or credential, so what was opened under one guard is not used under the next.
   */
  #watchKey(target: Target, subscriber: Subscriber, legacy: boolean): string {
    const generation = this.#generations.get(subscriber.guard) ?? (this.#generation += 1)
    this.#generations.set(subscriber.guard, generation)
    return `${generation} ${target.key} ${watcher(target, subscriber, legacy).name}`
  }

  #heard(message: Message, server: string, target: Target, wants: Watched['wants'], questions: RecentQuestions): void {
    if (message.method.endsWith('/list_changed')) return this.#host.changed(server)
    if (message.method === 'notifications/resources/updated') {
      const { uri } = message.params
      for (const [subscriber, uris] of wants) {
        const exposed = typeof uri === 'string' ? uris.get(uri) : undefined
        if (exposed !== undefined) subscriber.updated(exposed)
      }
      return
    }
    if (message.kind === 'request') return void this.#asked(message, server, target, wants, questions)
    const text = message.method === 'notifications/cancelled' ? questions.takeBack(message) : message.text
    if (text === undefined || text.length > MAX_PUSHED || message.method === 'notifications/progress') return
    for (const [subscriber] of wants) subscriber.push(text)
  }

  /** A legacy server asks outside of any call: whoever owns its session is asked, or it is told that nobody answers. */
  async #asked(
    message: Message,
    server: string,
    target: Target,
    wants: Watched['wants'],
    questions: RecentQuestions,
  ): Promise<void> {
    const { sealer, now } = this.#host
    const [subscriber] = wants.keys()
    const session = subscriber?.request.session
    if (subscriber === undefined || session === undefined || message.id === undefined) return
    const origin = { session: session.id, server, via: target.via }
    const posed =
      message.method === 'ping' || message.text.length > MAX_PUSHED || !questions.mayAsk(now())
        ? undefined
        : await pose(message, origin, session.capabilities, sealer, now)
    if (posed !== undefined) {
      questions.add(message.id, posed.id)
      subscriber.push(posed.text)
      return
    }
    const owner = ownerFor(subscriber)
    const text = decline(message)
    await questions.decline(() =>
      target.backend.call({ text, id: undefined, headers: {}, signal: AbortSignal.timeout(ANSWER_MS) }, owner),
    )
  }
}

/** The ways to a server on which this caller may use anything of it. */
function usable(endpoint: Endpoint, principal: Principal, server: string): readonly Target[] {
  const targets = endpoint.targets(server)
  return targets.length === 1 ? targets : targets.filter(({ via }) => mayUse(endpoint, principal, { server, via }))
}

function ownerFor(subscriber: Subscriber): Owner {
  return ownerOf(subscriber.request.session, subscriber.principal)
}

/** On whose behalf a server's own stream is held, by whatever credential its client has shown last. */
function watcher({ perCaller }: Target, subscriber: Subscriber, legacy: boolean): Owner {
  if (legacy) return { ...ownerFor(subscriber), caller: () => subscriber.principal }
  if (perCaller !== true) return { name: 'hub', capabilities: {} }
  return { ...ownerOf(undefined, subscriber.principal), caller: () => subscriber.principal }
}

/** The stream is about what its subscribers want; where that is too much, about some of what each of them does. */
function aim({ watch, wants }: Watched): void {
  const lists = [...wants.values()].map((uris) => [...uris.keys()])
  const union = new Set<string>()
  const longest = Math.max(0, ...lists.map((list) => list.length))
  for (let at = 0; at < longest && union.size < MAX_SHARED_URIS; at += 1)
    for (const list of lists) {
      const uri = list[at]
      if (uri !== undefined && union.size < MAX_SHARED_URIS) union.add(uri)
    }
  watch.want([...union].sort())
}
