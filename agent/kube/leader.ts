// Leader election by a coordination.k8s.io Lease. No clock but our own is believed: a lease is over when it was *seen*
// not to change for its duration. Leave to write ends earlier than anybody can take over, counted from before the
// renewal was sent, so a leader that was paused finds its fence closed.

import type { KubeClient } from './client.ts'
import type { Clock } from './clock.ts'
import { sleep, systemClock } from './clock.ts'
import { FencedError, isConflict, isNotFound } from './error.ts'
import type { Fence } from './fence.ts'
import type { KubeObject } from './object.ts'
import { TYPES } from './object.ts'

const LEASE_MS = 15_000
const RENEW_MS = 10_000
const RETRY_MS = 2_000

export interface ElectionOptions {
  readonly namespace: string
  readonly name: string
  /** Of this process; a restarted container of the same pod may have the same. */
  readonly identity: string
  /** How long others wait after our last renewal; 15 seconds when not given. */
  readonly leaseMs?: number
  /** How long leave to write lasts from a renewal; must be shorter. 10 seconds when not given. */
  readonly renewMs?: number
  /** Between two looks, and two renewals; 2 seconds when not given. */
  readonly retryMs?: number
  readonly clock?: Clock
  readonly onError?: (error: unknown) => void
}

interface LeaseSpec {
  holderIdentity?: string
  leaseDurationSeconds?: number
  acquireTime?: string
  renewTime?: string
  leaseTransitions?: number
}

/** Its signal aborts when leadership is lost. `release` ends it and lets the next one in at once. */
export interface Leadership {
  readonly fence: Fence
  release(): Promise<void>
}

export class LeaderElection {
  readonly #client: KubeClient
  readonly #options: ElectionOptions
  readonly #clock: Clock
  readonly #leaseMs: number
  readonly #renewMs: number
  readonly #retryMs: number
  #seen: { readonly version: string | undefined; readonly at: number } | undefined

  /** Give it a client of its own: renewals must not wait behind other requests. */
  constructor(client: KubeClient, options: ElectionOptions) {
    this.#client = client
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#leaseMs = options.leaseMs ?? LEASE_MS
    this.#renewMs = options.renewMs ?? RENEW_MS
    this.#retryMs = options.retryMs ?? RETRY_MS
    if (this.#renewMs >= this.#leaseMs) throw new TypeError('renewMs: must be shorter than leaseMs')
  }

  /** Waits, for ever if need be, until this process leads. Throws the signal's reason when it aborts first. */
  async acquire(signal: AbortSignal): Promise<Leadership> {
    for (;;) {
      signal.throwIfAborted()
      const startedAt = this.#clock.monotonic()
      const lease = await this.#within(signal, (within) => this.#try(within)).catch((error: unknown) => {
        signal.throwIfAborted()
        if (!isConflict(error)) this.#options.onError?.(error)
        return undefined
      })
      if (lease !== undefined) return this.#lead(lease, startedAt)
      await sleep(this.#clock, this.#retryMs, signal)
    }
  }

  /** One attempt: the lease when it is ours now, else undefined. */
  async #try(signal: AbortSignal): Promise<KubeObject | undefined> {
    const { namespace, name, identity } = this.#options
    let lease: KubeObject
    try {
      lease = await this.#client.get({ type: TYPES.Lease, namespace, name }, { signal })
    } catch (error) {
      if (!isNotFound(error)) throw error
      const fresh = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { namespace, name } }
      return this.#client.create({ ...fresh, spec: this.#claim({}) }, TYPES.Lease, { signal })
    }
    const now = this.#clock.monotonic()
    const version = lease.metadata.resourceVersion
    if (this.#seen === undefined || this.#seen.version !== version) this.#seen = { version, at: now }
    const spec = (lease.spec ?? {}) as LeaseSpec
    const holder = spec.holderIdentity ?? ''
    const lasts = Math.max(this.#leaseMs, (spec.leaseDurationSeconds ?? 0) * 1_000)
    if (holder !== '' && holder !== identity && now - this.#seen.at < lasts) return undefined
    return this.#client.replace({ ...lease, spec: this.#claim(spec) }, TYPES.Lease, { signal })
  }

  #claim(old: LeaseSpec): LeaseSpec {
    const ours = old.holderIdentity === this.#options.identity
    const now = microTime(this.#clock.wall())
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(this.#leaseMs / 1_000),
      acquireTime: ours ? (old.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (old.leaseTransitions ?? 0) + (ours ? 0 : 1),
    }
  }

  #lead(won: KubeObject, startedAt: number): Leadership {
    const lost = new AbortController()
    let deadline = startedAt + this.#renewMs
    let lease = won
    const check = (): void => {
      if (!lost.signal.aborted && this.#clock.monotonic() >= deadline) {
        lost.abort(new FencedError('leadership is lost: the lease was not renewed in time'))
      }
      if (lost.signal.aborted)
        throw new FencedError('leadership is lost: no more writes', { cause: lost.signal.reason })
    }
    const fence: Fence = { signal: lost.signal, check }

    /** Rings at the deadline however the renewals fare. */
    let silence = (): void => undefined
    lost.signal.addEventListener('abort', () => silence(), { once: true })
    const alarm = (): void => {
      const left = deadline - this.#clock.monotonic()
      if (left > 0) silence = this.#clock.after(left, alarm)
      else lost.abort(new FencedError('leadership is lost: the lease was not renewed in time'))
    }
    alarm()

    const renew = async (): Promise<void> => {
      while (!lost.signal.aborted) {
        await sleep(this.#clock, this.#retryMs, lost.signal)
        if (lost.signal.aborted) return
        const at = this.#clock.monotonic()
        try {
          const next = await this.#within(lost.signal, (signal) => this.#renew(lease, signal))
          if (next === undefined) lost.abort(new FencedError('leadership is lost: another process holds the lease'))
          else lease = next
          deadline = at + this.#renewMs
        } catch (error) {
          if (!lost.signal.aborted) this.#options.onError?.(error)
        }
      }
    }
    const renewing = renew()

    return {
      fence,
      release: async () => {
        const held = !lost.signal.aborted && this.#clock.monotonic() < deadline
        lost.abort(new FencedError('leadership is given up'))
        await renewing
        if (held) await this.#release(lease)
      },
    }
  }

  /** The renewed lease, or undefined when it is another's. After a conflict the lease is read anew. */
  async #renew(lease: KubeObject, signal: AbortSignal): Promise<KubeObject | undefined> {
    try {
      return await this.#client.replace({ ...lease, spec: this.#claim(lease.spec as LeaseSpec) }, TYPES.Lease, {
        signal,
      })
    } catch (error) {
      if (!isConflict(error)) throw error
    }
    const { namespace, name, identity } = this.#options
    const now = await this.#client.get({ type: TYPES.Lease, namespace, name }, { signal })
    if ((now.spec as LeaseSpec | undefined)?.holderIdentity !== identity) return undefined
    return this.#client.replace({ ...now, spec: this.#claim(now.spec as LeaseSpec) }, TYPES.Lease, { signal })
  }

  async #release(lease: KubeObject): Promise<void> {
    const { namespace, name, identity } = this.#options
    const free = async (held: KubeObject, signal: AbortSignal): Promise<void> => {
      const spec = { ...(held.spec as LeaseSpec), holderIdentity: '', leaseDurationSeconds: 1 }
      await this.#client.replace({ ...held, spec }, TYPES.Lease, { signal })
    }
    const attempt = async (signal: AbortSignal): Promise<void> => {
      try {
        await free(lease, signal)
      } catch (error) {
        if (!isConflict(error)) throw error
        // The renewal that giving up cut off may have been written all the same.
        const now = await this.#client.get({ type: TYPES.Lease, namespace, name }, { signal })
        if ((now.spec as LeaseSpec | undefined)?.holderIdentity === identity) await free(now, signal)
      }
    }
    try {
      await this.#within(new AbortController().signal, attempt)
    } catch (error) {
      this.#options.onError?.(error)
    }
  }

  /** An attempt that takes as long as leave lasts would be of no use. */
  async #within<T>(outer: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const inner = new AbortController()
    const stop = (): void => inner.abort(outer.reason)
    const cancel = this.#clock.after(this.#renewMs / 2, () =>
      inner.abort(new Error('the lease was not answered for in time')),
    )
    if (outer.aborted) stop()
    outer.addEventListener('abort', stop, { once: true })
    try {
      return await work(inner.signal)
    } finally {
      cancel()
      outer.removeEventListener('abort', stop)
    }
  }
}

/** metav1.MicroTime. */
export function microTime(now: number): string {
  return new Date(now).toISOString().replace('Z', '000Z')
}
