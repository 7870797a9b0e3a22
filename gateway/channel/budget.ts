// What the streams of one object may hold together while their clients read slowly. When it is too much, whoever holds most
// lets go: a flood costs those who take part in it, and no others.

export interface Holder {
  /** Bytes or characters that it holds now. */
  readonly held: number
  /** Lets go of all of it, and says so by `changed`. */
  drop(): void
}

export class Budget {
  readonly #limit: number
  readonly #holders = new Set<Holder>()
  #used = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  get used(): number {
    return this.#used
  }

  /** The holder holds this much more, or less, than it did. */
  changed(holder: Holder, by: number): void {
    this.#used += by
    if (holder.held > 0) this.#holders.add(holder)
    else this.#holders.delete(holder)
    while (this.#used > this.#limit) {
      let largest: Holder | undefined
      for (const one of this.#holders) if (one.held > (largest?.held ?? 0)) largest = one
      if (largest === undefined) return
      largest.drop()
    }
  }
}
