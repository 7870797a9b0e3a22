// Everybody who listens, in one place: looks after many idle streams with one timer, tells each client what changed in
// what it may see, and holds the servers' own streams for as long as somebody wants them. What a caller may hear is
// checked again with every look; whoever lost the right loses the stream.

import type { Json } from '../../protocol/envelope.ts'
import { Fault } from '../../protocol/fault.ts'
import type { Revoked } from '../auth/guard.ts'
import type { Endpoint } from '../endpoint.ts'
import { Lru } from '../lru.ts'
import type { Store } from '../ports.ts'
import { Budget } from './budget.ts'
import type { Channel, StreamRequest } from './channel.ts'
import { Servers, type ServersHost } from './servers.ts'
import { Subscriber } from './subscriber.ts'
import { MAX_URIS, Subscriptions } from './subscriptions.ts'

const LOOK_MS = 2_000
const KEEP_ALIVE_MS = 15_000
/** How long a session's events are kept for a client that lost its stream. */
const LINGER_MS = 30_000
/** An opaque token is asked about again this often; a JWT is looked at every time. */
const RECHECK_MS = 60_000
/** A stream may have begun with a token that lives for ever. */
const MAX_STREAM_MS = 12 * 3_600_000
/** An object has 128 MB on Cloudflare. */
const MAX_STREAMS = 2_000
const MAX_STREAMS_OF_ONE = 64
/** What all streams of this object hold for clients that read slowly, and for those that come back. */
const MAX_HELD = 16 * 1024 * 1024

export interface HubHost extends ServersHost {
  readonly store: Store
  readonly revoked: Revoked
  /** The endpoint as it is now, within the seconds that a policy may take to hold. */
  endpoint(key: string): Promise<Endpoint | undefined>
}

export class Hub implements Pick<Channel, 'open' | 'attach' | 'subscribe' | 'end'> {
  readonly #host: HubHost
  readonly #subscribers = new Set<Subscriber>()
  readonly #sessions = new Map<string, Subscriber>()
  readonly #subscriptions: Subscriptions
  readonly #servers: Servers
  #timer: ReturnType<typeof setInterval> | undefined
  readonly #budget = new Budget(MAX_HELD)
  /** Other isolates may not know for half a minute that a session has ended. */
  readonly #ended = new Lru<string, true>(10_000)
  #keptAliveAt = 0

  constructor(host: HubHost) {
    this.#host = host
    this.#subscriptions = new Subscriptions(host.store)
    this.#servers = new Servers(host)
  }

  async open(request: StreamRequest): Promise<ReadableStream<Uint8Array>> {
    const host = this.#host
    const endpoint = await this.#endpoint(request.endpoint)
    const principal = await endpoint.guard.enter(request.credentials, host.revoked)
    const { session } = request
    if (session !== undefined) this.#assertAlive(session.id)
    const known = session === undefined ? undefined : this.#sessions.get(session.id)
    if (known === undefined) this.#admit(principal.id)
    const subscriber = known ?? new Subscriber(request, endpoint, principal, host.now(), this.#budget)
    if (known !== undefined) known.again(request, endpoint, principal, host.now())
    const readable = subscriber.open(() => this.#left(subscriber))
    this.#subscribers.add(subscriber)
    if (session !== undefined) this.#sessions.set(session.id, subscriber)
    this.#timer ??= setInterval(() => this.look(), LOOK_MS)
    try {
      const wanted = session === undefined ? filterUris(request) : await this.#subscriptions.read(session.id)
      subscriber.uris = wanted
      if (!this.#subscribers.has(subscriber)) return readable
      const heard = this.#servers.follow(subscriber)
      if (session === undefined) subscriber.acknowledge([...wanted].filter((uri) => heard.has(uri)))
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
    await this.#servers.attach(subscriber, server)
  }

  async subscribe(session: string, uri: string, on: boolean): Promise<void> {
    this.#assertAlive(session)
    const uris = await this.#subscriptions.change(session, uri, on)
    const subscriber = this.#sessions.get(session)
    if (subscriber === undefined) return
    subscriber.uris = uris
    this.#servers.follow(subscriber)
  }

  async end(session: string): Promise<void> {
    this.#ended.set(session, true)
    const subscriber = this.#sessions.get(session)
    if (subscriber !== undefined) this.#remove(subscriber)
    await this.#subscriptions.forget(session)
  }

  /** Ends every stream: the host is about to. */
  close(): void {
    for (const subscriber of this.#subscribers) this.#remove(subscriber)
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

  #left(subscriber: Subscriber): void {
    if (subscriber.request.session === undefined) this.#remove(subscriber)
    else subscriber.leftAt = this.#host.now()
  }

  #remove(subscriber: Subscriber): void {
    if (!this.#subscribers.delete(subscriber)) return
    const { session } = subscriber.request
    if (session !== undefined) this.#sessions.delete(session.id)
    this.#servers.release(subscriber)
    subscriber.close()
    if (this.#subscribers.size > 0) return
    if (this.#timer !== undefined) clearInterval(this.#timer)
    this.#timer = undefined
  }

  /**
   * One round over everybody. Whoever has to wait for something, an issuer or the store, waits alone: the rights of others
   * are looked after in the meantime. A host that knows of news may ask for one.
   */
  look(): void {
    const now = this.#host.now()
    const keepAlive = now - this.#keptAliveAt >= KEEP_ALIVE_MS
    if (keepAlive) this.#keptAliveAt = now
    const endpoints = new Map<string, Promise<Endpoint>>()
    for (const subscriber of this.#subscribers) {
      if (keepAlive) subscriber.keepAlive()
      if (this.#over(subscriber, now) || this.#withdrawn(subscriber, now)) this.#remove(subscriber)
      else if (!subscriber.checking) void this.#check(subscriber, now, endpoints)
    }
    this.#servers.aim()
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
      const { authorization } = request.credentials
      // Who vouches for a caller does so for the whole stream and ends it in time: assertions end long before streams do.
      const isDue = authorization?.split('.').length === 3 || now - subscriber.checkedAt > RECHECK_MS
      if (endpoint.guard !== subscriber.guard || (isDue && before.via === undefined)) {
        subscriber.principal = await endpoint.guard.enter(request.credentials, this.#host.revoked)
        subscriber.checkedAt = now
      }
      // Another principal of the same name: an issuer may have given it other groups.
      if (endpoint === subscriber.endpoint && before === subscriber.principal) return
      // Whoever left meanwhile must not come back to life.
      if (!this.#subscribers.has(subscriber)) return
      subscriber.look(endpoint)
      this.#servers.follow(subscriber)
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
}

function filterUris({ subscription }: StreamRequest): ReadonlySet<string> {
  const uris: Json | undefined = subscription?.notifications['resourceSubscriptions']
  const texts = Array.isArray(uris) ? uris.filter((one) => typeof one === 'string') : []
  return new Set(texts.slice(0, MAX_URIS))
}
