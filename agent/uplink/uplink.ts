// An uplink: keeps one connection to the edge, whatever happens, carries the calls that come on it, and publishes while it leads. It knows
// nothing of Kubernetes: what there is to publish and how it is called comes from a `Fleet`.

import type { WebSocket } from 'ws'
import type { CallTarget } from '../../protocol/link.ts'
import { sleep, systemClock } from '../kube/clock.ts'
import { Backoff } from './backoff.ts'
import type { CallOutcome } from './carrier.ts'
import { dial } from './dial.ts'
import type { Door } from './door.ts'
import { Link, type Ended, type Notice, type Pacing } from './link.ts'
import { Publisher, type Report } from './publisher.ts'
import { JoinError, type Credential, type Sessions } from './session.ts'
import type { Offer } from './snapshot.ts'

/** A connection that lasted this long was a good one. */
const GOOD_MS = 10_000
/** Calls of a connection that the edge wants to end may take this long. */
const RETIRE_MS = 60_000
/** A leader whom the edge does not believe says so again after the time that a lease takes to pass on. */
const INSIST_MS = 15_000
const RENEW_AGAIN_MS = 5_000

/** What a cluster offers, and how its servers are called. */
export interface Fleet {
  readonly offers: () => Iterable<Offer>
  /** Undefined: this cluster publishes no such thing now. */
  readonly door: (target: CallTarget) => Door | undefined
}

export interface UplinkHost {
  readonly fleet: Fleet
  readonly sessions: Sessions
  /** The pod's uid, and the program's version. */
  readonly replica: string
  readonly version: string
  readonly ca: readonly string[] | undefined
  readonly watch: Watch
  readonly pacing?: Pacing
}

/** Whoever wants to know how it goes. */
export interface Watch {
  /** A connection came about. */
  readonly linked: () => void
  /** One came to nothing, or none is there any more; `reason` is for logs. */
  readonly lost: (reason: string) => void
  /** The edge said what it lists. */
  readonly registered: (report: Report) => void
  readonly observe: (call: CallOutcome) => void
  readonly latency: (seconds: number) => void
  readonly failed: (what: string, error: unknown) => void
}

export class Uplink {
  readonly #host: UplinkHost
  readonly #publisher: Publisher
  /** The newest last; others are on their way out. */
  readonly #links = new Set<Link>()
  #isLeader = false
  #insisting: NodeJS.Timeout | undefined

  constructor(host: UplinkHost) {
    this.#host = host
    const { fleet, watch } = host
    this.#publisher = new Publisher({
      offers: fleet.offers,
      registered: watch.registered,
      failed: (error) => watch.failed('publish', error),
    })
  }

  /** Connections, and calls on them. */
  get links(): number {
    return this.#links.size
  }
  get calls(): number {
    return [...this.#links].reduce((sum, link) => sum + link.calls, 0)
  }
  /** Of what was published last; undefined while this replica publishes nothing. */
  get published(): { readonly epoch: number; readonly seq: number } | undefined {
    return this.#publisher.current
  }

  get #newest(): Link | undefined {
    return [...this.#links].at(-1)
  }

  /** What the fleet offers is different, perhaps. */
  changed(): void {
    this.#publisher.changed()
  }

  /** Whether this replica speaks for its cluster. */
  lead(isLeader: boolean): void {
    if (this.#isLeader === isLeader) return
    this.#isLeader = isLeader
    clearTimeout(this.#insisting)
    if (isLeader) return this.#newest?.say({ kind: 'leading', isLeader })
    for (const link of this.#links) {
      this.#publisher.closed(link)
      link.say({ kind: 'leading', isLeader })
    }
  }

  /** Until the signal aborts; then calls under way are answered within the time given. Never rejects. */
  async run(signal: AbortSignal, graceMs: number): Promise<void> {
    const { pacing, sessions, watch } = this.#host
    const backoff = new Backoff(pacing?.random)
    while (!signal.aborted) {
      const startedAt = performance.now()
      let retryAfterMs = 0
      try {
        retryAfterMs = await this.#once(signal, backoff.patienceMs)
        if (performance.now() - startedAt > GOOD_MS) backoff.reset()
      } catch (error) {
        if (signal.aborted) break
        if (error instanceof JoinError && error.reason === 'session_expired') sessions.forget()
        if (error instanceof JoinError) retryAfterMs = error.retryAfterMs ?? 0
        watch.lost(error instanceof Error ? error.message : 'failed')
      }
      await pause(backoff.next(retryAfterMs), signal)
    }
    clearTimeout(this.#insisting)
    await Promise.all([...this.#links].map((link) => link.leave(graceMs)))
  }

  /** One connection, until it ends or the edge wants another one beside it. Returns how long the edge asks to wait, in milliseconds. */
  async #once(signal: AbortSignal, patienceMs: number): Promise<number> {
    const { sessions, ca } = this.#host
    const { url, headers, credential } = await sessions.connection(signal, patienceMs)
    const over = Promise.withResolvers<number>()
    const end = new AbortController()
    let isWelcome = false
    const heard = (notice: Notice): void => {
      if (notice.kind === 'goaway') over.resolve(notice.retryAfterMs)
      // A hub that woke up says so again.
      if (notice.kind !== 'welcome' || isWelcome) return
      isWelcome = true
      this.#welcomed()
      void this.#renew(notice.connection, credential, end.signal)
    }
    const link = await dial({ url, headers, ca, patienceMs }, signal, (socket) => this.#open(socket, heard))
    const stop = (): void => over.resolve(0)
    signal.addEventListener('abort', stop, { once: true })
    void this.#forget(link, ({ code, reason }) => {
      // Also where another one is there still: a refusal that nobody hears of lasts.
      if (this.#links.size === 0 || !isWelcome) this.#host.watch.lost(`the connection ended: ${code} ${reason}`)
      end.abort()
      stop()
    })
    const retryAfterMs = await over.promise
    signal.removeEventListener('abort', stop)
    return retryAfterMs
  }

  /** A connection that is open, which may be only to hear why it is refused. */
  #open(socket: WebSocket, heard: (notice: Notice) => void): Link {
    const { watch, fleet, pacing, replica, version } = this.#host
    const link: Link = new Link(
      socket,
      {
        door: fleet.door,
        observe: watch.observe,
        latency: watch.latency,
        heard: (from, notice) => {
          heard(notice)
          this.#heard(from, notice)
        },
      },
      pacing,
    )
    this.#links.add(link)
    link.say({ kind: 'hello', replica, version, isLeader: this.#isLeader })
    return link
  }

  /** The edge takes the newest connection: those before it are not needed any more. */
  #welcomed(): void {
    for (const old of [...this.#links].slice(0, -1)) void old.leave(RETIRE_MS)
    this.#host.watch.linked()
  }

  /** Lets go of a connection when it has ended. */
  async #forget(link: Link, then: (ended: Ended) => void): Promise<void> {
    const ended = await link.ended
    this.#links.delete(link)
    this.#publisher.closed(link)
    then(ended)
  }

  #heard(link: Link, notice: Notice): void {
    if (notice.kind === 'goaway' || notice.kind === 'welcome') return
    // Who has been told of another leader while it leads itself is late, or knows better: one of the two has lost its lease by then.
    if (notice.kind === 'fenced') {
      clearTimeout(this.#insisting)
      this.#insisting = setTimeout(() => this.#insist(), INSIST_MS)
    }
    if (this.#isLeader || notice.kind !== 'lead') this.#publisher.heard(link, notice)
  }

  #insist(): void {
    if (!this.#isLeader || this.#publisher.current !== undefined) return
    this.#newest?.say({ kind: 'leading', isLeader: true })
  }

  /** Renews what a connection was opened with, as long as it is there: the edge ends those whose credential has. */
  async #renew(connection: string, first: Credential, ended: AbortSignal): Promise<void> {
    const { sessions, watch } = this.#host
    for (let { renewAt } = first; ;) {
      await pause(Math.max(0, renewAt - Date.now()), ended)
      if (ended.aborted) return
      try {
        renewAt = (await sessions.renew(ended, connection)).renewAt
      } catch (error) {
        if (ended.aborted) return
        watch.failed('renew the session', error)
        renewAt = Date.now() + RENEW_AGAIN_MS
      }
    }
  }
}

/** Resolves after some time, or when the signal aborts. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return sleep(systemClock, milliseconds, signal)
}
