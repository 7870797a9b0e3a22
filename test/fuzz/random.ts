// Seeded choices: the same seed and index make the same case, whatever ran before and however many run at once.

export type Weighted<T> = readonly (readonly [weight: number, make: () => T])[]

export class Random {
  #state: number

  /** One stream of choices for each case of a run. */
  constructor(seed: number, index: number) {
    this.#state = (Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b)) >>> 0
    for (let turn = 0; turn < 4; turn += 1) this.#next()
  }

  // mulberry32: small, fast, and random enough to pick from lists.
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let value = this.#state
    value = Math.imul(value ^ (value >>> 15), value | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 4_294_967_296
  }

  /** 0 … below - 1 */
  int(below: number): number {
    return Math.floor(this.#next() * below)
  }

  chance(probability: number): boolean {
    return this.#next() < probability
  }

  pick<T>(from: readonly T[]): T {
    const chosen = from[this.int(from.length)]
    if (chosen === undefined) throw new Error('nothing to pick from')
    return chosen
  }

  weighted<T>(choices: Weighted<T>): T {
    let left = this.#next() * choices.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, make] of choices) {
      left -= weight
      if (left < 0) return make()
    }
    throw new Error('nothing to choose from')
  }

  /** `least` … `most` of what `make` makes. */
  many<T>(least: number, most: number, make: () => T): T[] {
    return Array.from({ length: least + this.int(most - least + 1) }, make)
  }

  /** Any characters, quotes, controls and halves of pairs among them. */
  text(most: number): string {
    return this.many(0, most, () =>
      this.weighted([
        [8, () => String.fromCodePoint(0x20 + this.int(0x5f))],
        [1, () => String.fromCharCode(this.int(0x20))],
        [1, () => String.fromCharCode(this.int(0x1_0000))],
        [1, () => this.pick(['"', '\\', '\u{1f41d}', '\u2028', '\ufeff', '%', '\u0000'])],
      ]),
    ).join('')
  }
}
