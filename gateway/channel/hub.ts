// Everybody who listens, in one place: looks after many idle streams with one timer, tells each client what changed in
// what it may see, and holds the servers' own streams for as long as somebody wants them. What a caller may hear is
// checked again with every look; whoever lost the right loses the stream.

import type { Json, Message } from '../../protocol/envelope.ts'
import { Fault } from '../../protocol/fault.ts'
import { pose } from '../ask.ts'
import type { Guard, Revoked } from '../auth/guard.ts'
import { decline } from '../backend/handshake.ts'
import type { Owner } from '../backend/upstream.ts'
import { decideSubscription } from '../decide.ts'
import { visibleServers, type Endpoint, type Target } from '../endpoint.ts'
import { Lru } from '../lru.ts'
import type { Clock, Store } from '../ports.ts'
import type { Sealer } from '../seal.ts'
import { ownerOf } from '../session.ts'
import { Budget } from './budget.ts'
import type { Channel, StreamRequest } from './channel.ts'
import { RecentQuestions } from './questions.ts'
import { Subscriber } from './subscriber.ts'
import { Watch } from './watch.ts'

const LOOK_MS = 2_000
const KEEP_ALIVE_MS = 15_000
/** How long a session's events are kept for a client that lost its stream. */
const LINGER_MS = 30_000
/** An opaque token is asked about again this often; a JWT is looked at every time. */
const RECHECK_MS = 60_000
/** A stream may have begun with a token that lives for ever. */
const MAX_STREAM_MS = 12 * 3_600_000
const MAX_STREAMS = 10_000
const MAX_STREAMS_OF_ONE = 64
const MAX_URIS = 128
/** Characters of all URIs of a session together: they are stored. */
const MAX_URI_CHARACTERS = 32 * 1024
/** Resources that one shared stream of a server is about. */
const MAX_SHARED_URIS = 1024
/** What all streams of this object hold for clients that read slowly, and for those that come back. */
const MAX_HELD = 16 * 1024 * 1024
/** Servers whose own streams one client can cause. */
const MAX_WATCHES_OF_ONE = 32
const TTL_SECONDS = 24 * 3600
const ANSWER_MS = 10_000
/** Longest message of a server that is passed on, in characters: each may wait for a client that reads slowly. */
const MAX_PUSHED = 128 * 1024

export interface HubHost {
  readonly store: Store
  readonly sealer: Sealer
  readonly now: Clock
  readonly revoked: Revoked
  /** The endpoint as it is now, within the seconds that a policy may take to hold. */
  endpoint(key: string): Promise<Endpoint | undefined>
  /** The server says that its catalog changed. */
  changed(server: string): void
}

interface Watched {
  readonly watch: Watch
  /** Who wants to hear of which of the server's URIs, and how each client calls them. */
  readonly wants: Map<Subscriber, ReadonlyMap<string, string>>
}

export class Hub implements Pick<Channel, 'open' | 'attach' | 'subscribe' | 'end'> {
  readonly #host: HubHost
  readonly #subscribers = new Set<Subscriber>()
  readonly #sessions = new Map<string, Subscriber>()
  readonly #watches = new Map<string, Watched>()
  #timer: ReturnType<typeof setInterval> | undefined
  readonly #budget = new Budget(MAX_HELD)
  /** Shared streams whose resources changed since the last round. */
  readonly #unaimed = new Set<Watched>()
  /** Changes of a session's subscriptions, one after the other. */
  readonly #turns = new Map<string, Promise<void>>()
  /** Other isolates may not know for half a minute that a session has ended. */
  readonly #ended = new Lru<string, true>(MAX_STREAMS)
  readonly #generations = new WeakMap<Guard, number>()
  #generation = 0
  #keptAliveAt = 0

  constructor(host: HubHost) {
    this.#host = host
  }

  async open(request: StreamRequest): Promise<ReadableStream<Uint8Array>> {
    const host = this.#host
    const endpoint = await this.#endpoint(request.endpoint)
    const principal = await endpoint.guard.enter(request.authorization, host.revoked)
    const { session } = request
    if (session !== undefined) this.#assertAlive(session.id)
    const known = session === undefined ? undefined : this.#sessions.get(session.id)
    if (known === undefined) this.#admit(principal.id)
    const subscriber = known ?? new Subscriber(request, endpoint, principal, host.now(), this.#budget)
    if (known !== undefined) known.again(request, endpoint, principal, host.now())
    const readable = subscriber.open(() => this.#left(subscriber))
    this.#subscribers.add(subscriber)
    if (session !== undefined) this.#sessions.set(session.id, subscriber)
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS)
    try {
      const wanted = session === undefined ? filterUris(request) : await this.#stored(session.id)
      subscriber.uris = new Set(wanted)
      const heard = this.#follow(subscriber)
      if (session === undefined) subscriber.acknowledge(wanted.filter((uri) => heard.has(uri)))
      else if (subscriber.greet(session.lastEvent, known !== undefined)) subscriber.missed()
    } catch (error) {
      this.#remove(subscriber)
      throw error
    }
    return readable
  }

  async attach(session: string, server: string): Promise<void> {
    const subscriber = this.#sessions.get(session)
    if (subscriber === undefined) return
    for (const target of subscriber.endpoint.targets(server)) {
      const watched = this.#watches.get(this.#watchKey(target, subscriber, true))
      if (watched === undefined) this.#follow(subscriber)
      else await watched.watch.attach()
    }
  }

  async subscribe(session: string, uri: string, on: boolean): Promise<void> {
    const before = this.#turns.get(session) ?? Promise.resolve()
    const turn = before.then(() => this.#subscribe(session, uri, on))
    const settled = turn.catch(() => undefined)
    this.#turns.set(session, settled)
    void settled.then(() => this.#turns.get(session) === settled && this.#turns.delete(session))
    return turn
  }

  async #subscribe(session: string, uri: string, on: boolean): Promise<void> {
    this.#assertAlive(session)
    const uris = new Set(this.#sessions.get(session)?.uris ?? (await this.#stored(session)))
    if (on) uris.add(uri)
    else uris.delete(uri)
    if (uris.size > MAX_URIS) throw new Fault('overloaded', `A session can subscribe to ${MAX_URIS} resources at most.`)
    const text = JSON.stringify([...uris])
    if (text.length > MAX_URI_CHARACTERS)
      throw new Fault(
        'overloaded',
        `The URIs of a session's subscriptions can have ${MAX_URI_CHARACTERS} characters at most.`,
      )
    await this.#host.store.set(storeKey(session), text, { ttlSeconds: TTL_SECONDS })
    const subscriber = this.#sessions.get(session)
    if (subscriber === undefined) return
    subscriber.uris = uris
    this.#follow(subscriber)
  }

  async end(session: string): Promise<void> {
    this.#ended.set(session, true)
    const subscriber = this.#sessions.get(session)
    if (subscriber !== undefined) this.#remove(subscriber)
    await this.#host.store.del(storeKey(session)).catch(() => undefined)
  }

  async #endpoint(key: string): Promise<Endpoint> {
    const endpoint = await this.#host.endpoint(key)
    if (endpoint === undefined) throw new Fault('not_found', `There is no endpoint ${key}.`)
    return endpoint
  }

  #assertAlive(session: string): void {
    if (this.#ended.get(session) === true)
      throw new Fault('session_not_found', 'This session does not exist: initialize again.', {
        detail: 'session: ended',
      })
  }

  #admit(principal: string): void {
    const own = [...this.#subscribers].filter((one) => one.principal.id === principal).length
    if (own >= MAX_STREAMS_OF_ONE || this.#subscribers.size >= MAX_STREAMS) {
      throw new Fault('overloaded', 'Too many streams are open; close some or try again later.', {
        data: { retryAfterSeconds: 30 },
      })
    }
  }

  async #stored(session: string): Promise<string[]> {
    const entry = await this.#host.store.get(storeKey(session)).catch(() => null)
    return entry === null ? [] : (JSON.parse(entry.value) as string[])
  }

  #left(subscriber: Subscriber): void {
    if (subscriber.request.session === undefined) this.#remove(subscriber)
    else subscriber.leftAt = this.#host.now()
  }

  #remove(subscriber: Subscriber): void {
    if (!this.#subscribers.delete(subscriber)) return
    const { session } = subscriber.request
    if (session !== undefined) this.#sessions.delete(session.id)
    this.#unwatch(subscriber, new Set())
    subscriber.close()
    if (this.#subscribers.size > 0) return
    if (this.#timer !== undefined) clearInterval(this.#timer)
    this.#timer = undefined
  }

  /**
   * One round over everybody. Whoever has to wait for something, an issuer or the store, waits alone: the rights of others
   * are looked after in the meantime.
   */
  #look(): void {
    const now = this.#host.now()
    const keepAlive = now - this.#keptAliveAt >= KEEP_ALIVE_MS
    if (keepAlive) this.#keptAliveAt = now
    const endpoints = new Map<string, Promise<Endpoint>>()
    for (const subscriber of this.#subscribers) {
      if (keepAlive) subscriber.keepAlive()
      if (this.#over(subscriber, now) || this.#withdrawn(subscriber, now)) this.#remove(subscriber)
      else if (!subscriber.checking) void this.#check(subscriber, now, endpoints)
    }
    for (const watched of this.#unaimed) aim(watched)
    this.#unaimed.clear()
  }

  #over({ leftAt, openedAt }: Subscriber, now: number): boolean {
    return (leftAt !== undefined && now - leftAt > LINGER_MS) || now - openedAt > MAX_STREAM_MS
  }

  /** Looks whether the subscriber may go on, and tells it what is news to it. Never throws. */
  async #check(subscriber: Subscriber, now: number, endpoints: Map<string, Promise<Endpoint>>): Promise<void> {
    const { request } = subscriber
    subscriber.checking = true
    try {
      const found = endpoints.get(request.endpoint) ?? this.#endpoint(request.endpoint)
      endpoints.set(request.endpoint, found)
      const endpoint = await found
      const before = subscriber.principal
      const isJwt = request.authorization?.split('.').length === 3
      if (isJwt || endpoint.guard !== subscriber.guard || now - subscriber.checkedAt > RECHECK_MS) {
        subscriber.principal = await endpoint.guard.enter(request.authorization, this.#host.revoked)
        subscriber.checkedAt = now
      }
      // Another principal of the same name: an issuer may have given it other groups.
      if (endpoint === subscriber.endpoint && before === subscriber.principal) return
      subscriber.look(endpoint)
      this.#follow(subscriber)
    } catch (error) {
      // While the store is away, what is known serves on.
      if (!(error instanceof Fault && error.reason === 'store_unavailable')) this.#remove(subscriber)
    } finally {
      subscriber.checking = false
    }
  }

  #withdrawn({ principal }: Subscriber, now: number): boolean {
    const { issuer, subject, claims } = principal
    const { jti } = claims
    const tokenId = typeof jti === 'string' ? jti : undefined
    return principal.expires * 1000 <= now || this.#host.revoked({ issuer, subject, tokenId })
  }

  /** Opens and closes servers' streams as this subscriber needs them. Returns the URIs of which it will hear. */
  #follow(subscriber: Subscriber): ReadonlySet<string> {
    const heard = new Set<string>()
    // Whoever left while something was awaited must not come back to life.
    if (!this.#subscribers.has(subscriber)) return heard
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
      const route = decideSubscription(uri, { catalog: endpoint.catalog, principal, sole: endpoint.sole })
      const server = route === undefined ? undefined : endpoint.catalog.servers.get(route.server)
      if (route === undefined || server === undefined) continue
      const target = endpoint.target(route.server, route.via)
      const uris = want(route.server, target, server.era === 'legacy')
      uris?.set(route.rename?.value ?? uri, uri)
      if (uris !== undefined) heard.add(uri)
    }
    if (request.session !== undefined) {
      // A legacy server may say something on its own wherever the session has been.
      for (const [server, { era }] of visibleServers(endpoint, principal))
        if (era === 'legacy') for (const target of endpoint.targets(server)) want(server, target, true)
    }
    this.#unwatch(subscriber, new Set(wanted.keys()))
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
    const owner = legacy ? ownerFor(subscriber) : { name: 'hub', capabilities: {} }
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

  /** The subscriber no longer wants to hear from servers other than these. */
  #unwatch(subscriber: Subscriber, kept: ReadonlySet<string>): void {
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
   * Who shares a stream: modern servers do not care who listens, legacy ones speak on a session. Another configuration may
   * mean another address or credential, so what was opened under one guard is not used under the next.
   */
  #watchKey({ key }: Target, subscriber: Subscriber, legacy: boolean): string {
    const generation = this.#generations.get(subscriber.guard) ?? (this.#generation += 1)
    this.#generations.set(subscriber.guard, generation)
    return legacy ? `${generation} ${key} ${ownerFor(subscriber).name}` : `${generation} ${key}`
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

const storeKey = (session: string): string => `subscriptions/${session}`

function ownerFor({ request: { session }, principal }: Subscriber): Owner {
  return ownerOf(session, principal)
}

function filterUris({ subscription }: StreamRequest): string[] {
  const uris: Json | undefined = subscription?.notifications['resourceSubscriptions']
  const texts = Array.isArray(uris) ? uris.filter((one) => typeof one === 'string') : []
  return [...new Set(texts)].slice(0, MAX_URIS)
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
