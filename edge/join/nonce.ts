// Nonces that the edge need not remember: sealed, for one cluster, for a minute. That each is used once follows from the proofs,
// which are.

import type { Clock } from '../../gateway/ports.ts'
import type { Sealer } from '../../gateway/seal.ts'

export const NONCE_MS = 60_000

interface Nonce {
  readonly cluster: string
  /** Milliseconds since the epoch. */
  readonly expires: number
}

export class Nonces {
  readonly #sealer: Sealer
  readonly #now: Clock

  constructor(sealer: Sealer, now: Clock) {
    this.#sealer = sealer
    this.#now = now
  }

  make(cluster: string): Promise<string> {
    const nonce: Nonce = { cluster, expires: this.#now() + NONCE_MS }
    return this.#sealer.seal('link-nonce', nonce)
  }

  async isLive(nonce: string, cluster: string): Promise<boolean> {
    const opened = (await this.#sealer.open('link-nonce', nonce)) as Nonce | undefined
    return opened?.cluster === cluster && opened.expires > this.#now()
  }
}
