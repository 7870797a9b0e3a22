// Tells the edge what its cluster offers: the whole snapshot whenever it is different, and the bodies that the edge has not got. Only the
// connection that leads is told, under the epoch that the edge gave it; what is refused is reported, and not sent again before it changes.

import type { Dropped, EdgeFrame, UplinkFrame } from '../../protocol/link.ts'
import { MAX_PIECE } from '../../protocol/link.ts'
import { itemKey } from '../../protocol/snapshot.ts'
import { bodyText, makeSnapshot, type MadeSnapshot, type Offer } from './snapshot.ts'

/** Changes come in crowds. */
const SETTLE_MS = 250
/** An edge that says nothing of a snapshot is told again, after twice that the next time, and so on. */
const SILENCE_MS = 30_000
const MAX_SILENCE_MS = 5 * 60_000
/** What the edge makes of a snapshot depends on other clusters too, so it is asked again now and then. */
const RESYNC_MS = 10 * 60_000

/** A connection, as the publisher sees it. */
export interface Line {
  /** Resolves when there is room for more. Rejects when the connection has ended. */
  push(frame: UplinkFrame, payload: Uint8Array): Promise<void>
}

/** What the edge lists now. */
export interface Report {
  /** Of everything that was offered, by `itemKey`. */
  readonly uids: ReadonlyMap<string, string>
  /** By `itemKey`: what is not listed although it was offered. */
  readonly dropped: ReadonlyMap<string, Dropped>
}

export interface PublisherHost {
  readonly offers: () => Iterable<Offer>
  readonly registered: (report: Report) => void
  readonly failed: (error: unknown) => void
}

interface Tenure {
  readonly line: Line
  readonly epoch: number
  seq: number
  made: MadeSnapshot | undefined
  /** The edge has not answered for the last one yet. */
  isOpen: boolean
  /** It may be different from what was sent. */
  isStale: boolean
  silenceMs: number
  silence: NodeJS.Timeout | undefined
  /** Texts go out one after the other. */
  sending: Promise<void>
}

export class Publisher {
  readonly #host: PublisherHost
  #tenure: Tenure | undefined
  #settling: NodeJS.Timeout | undefined

  constructor(host: PublisherHost) {
    this.#host = host
  }

  /** Of the last snapshot, for metrics; undefined while another publishes. */
  get current(): { readonly epoch: number; readonly seq: number } | undefined {
    return this.#tenure
  }

  /** The edge's word on who publishes, and what it makes of it. */
  heard(line: Line, frame: Extract<EdgeFrame, { kind: 'lead' | 'fenced' | 'want' | 'registered' }>): void {
    if (frame.kind === 'lead') return this.#lead(line, frame.epoch)
    const tenure = this.#tenure
    if (tenure?.line !== line) return
    switch (frame.kind) {
      case 'fenced':
        return this.closed(line)
      case 'want':
        return this.#want(tenure, frame.digests)
      case 'registered':
        return this.#registered(tenure, frame.seq, frame.dropped)
    }
  }

  /** This connection publishes no longer. */
  closed(line: Line): void {
    if (this.#tenure?.line !== line) return
    clearTimeout(this.#tenure.silence)
    this.#tenure = undefined
  }

  /** The offers are different, perhaps. */
  changed(): void {
    if (this.#tenure === undefined) return
    this.#tenure.isStale = true
    if (this.#settling !== undefined) return
    this.#settling = setTimeout(() => {
      this.#settling = undefined
      this.#send()
    }, SETTLE_MS)
  }

  #lead(line: Line, epoch: number): void {
    clearTimeout(this.#tenure?.silence)
    this.#tenure = {
      line,
      epoch,
      seq: 0,
      made: undefined,
      isOpen: false,
      isStale: true,
      silenceMs: SILENCE_MS,
      silence: undefined,
      sending: Promise.resolve(),
    }
    this.#send()
  }

  #send(): void {
    const tenure = this.#tenure
    if (tenure === undefined || tenure.isOpen || !tenure.isStale) return
    tenure.isStale = false
    const made = makeSnapshot(this.#host.offers())
    if (made.text === tenure.made?.text) return
    tenure.made = made
    tenure.isOpen = true
    tenure.seq += 1
    const { epoch, seq } = tenure
    this.#say(tenure, made.text, (last) => ({ kind: 'snapshot', epoch, seq, last }))
  }

  #want(tenure: Tenure, digests: readonly string[]): void {
    const { epoch } = tenure
    for (const digest of digests) {
      const body = tenure.made?.bodies.get(digest)
      if (body !== undefined)
        this.#say(
          tenure,
          () => bodyText(body),
          (last) => ({ kind: 'body', epoch, digest, last }),
        )
    }
  }

  #registered(tenure: Tenure, seq: number, dropped: readonly Dropped[]): void {
    const { made } = tenure
    if (seq !== tenure.seq || made === undefined) return
    this.#again(tenure, RESYNC_MS)
    tenure.silenceMs = SILENCE_MS
    tenure.isOpen = false
    const all = [...made.dropped, ...dropped].map((one) => [one.key, one] as const)
    this.#host.registered({ uids: new Map(made.items.map((item) => [itemKey(item), item.uid])), dropped: new Map(all) })
    this.#send()
  }

  /** Sends a text in pieces, after those before it. Whoever follows may be sent meanwhile: calls do not wait for it. */
  #say(tenure: Tenure, text: string | (() => string), frame: (last: boolean) => UplinkFrame): void {
    const isCurrent = (): boolean => this.#tenure === tenure
    const send = async (): Promise<void> => {
      if (!isCurrent()) return
      const bytes = Buffer.from(typeof text === 'string' ? text : text())
      for (let at = 0; isCurrent() && (at === 0 || at < bytes.length); at += MAX_PIECE) {
        await tenure.line.push(frame(at + MAX_PIECE >= bytes.length), bytes.subarray(at, at + MAX_PIECE))
      }
      if (isCurrent()) this.#await(tenure)
    }
    tenure.sending = tenure.sending.then(send).catch((error: unknown) => {
      // A connection that ends says so itself.
      if (isCurrent()) this.#host.failed(error)
    })
  }

  #await(tenure: Tenure): void {
    if (tenure.isOpen) this.#again(tenure, tenure.silenceMs)
  }

  /** Everything is told again after this time, unless something comes before. */
  #again(tenure: Tenure, afterMs: number): void {
    clearTimeout(tenure.silence)
    tenure.silence = setTimeout(() => {
      if (tenure.isOpen) tenure.silenceMs = Math.min(tenure.silenceMs * 2, MAX_SILENCE_MS)
      tenure.isOpen = false
      tenure.isStale = true
      tenure.made = undefined
      this.#send()
    }, afterMs)
    tenure.silence.unref()
  }
}
