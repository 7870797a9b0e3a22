// What goes wrong when: the same seed gives the same faults at the same times. Crashes end early enough that what leaks
// afterwards shows in the last process.

export type Fault =
  | { readonly kind: 'crash'; readonly pauseMs: number }
  /** All Durable Objects are broken off in what they do. */
  | { readonly kind: 'abort' }
  /** One awake Durable Object, chosen by `pick` in [0, 1), is evicted. */
  | { readonly kind: 'evict'; readonly pick: number }
  | { readonly kind: 'restart'; readonly pick: number; readonly pauseMs: number }
  | {
      readonly kind: 'cut'
      readonly side: Side
      readonly proxy: number
      readonly pick: number
      readonly afterBytes: number
    }
  | {
      readonly kind: 'starve'
      readonly side: Side
      readonly proxy: number
      readonly pick: number
      readonly milliseconds: number
    }
  /** A backend changes its catalog. */
  | { readonly kind: 'change'; readonly pick: number }

export type Side = 'client' | 'backend'
export type Scheduled = Fault & { readonly atMs: number }

/** A small generator of numbers in [0, 1) (mulberry32). */
export function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Seconds between two faults of a kind, on average; each kind happens at least twice. */
const every: Readonly<Record<Fault['kind'], number>> = {
  crash: 20,
  abort: 9,
  evict: 1.5,
  restart: 6,
  cut: 0.4,
  starve: 2,
  change: 5,
}

/** Crashes are over after this part of the time. */
const CRASHES_UNTIL = 0.7

/** The faults of a run in order of time. */
export function schedule(seed: number, seconds: number): Scheduled[] {
  const next = random(seed)
  const faults: Scheduled[] = []
  for (const kind of Object.keys(every) as Fault['kind'][]) {
    const count = Math.max(2, Math.round(seconds / every[kind]))
    const span = seconds * 1000 * (kind === 'crash' ? CRASHES_UNTIL : 1)
    for (let index = 0; index < count; index++) {
      // One in every slot of time, so that two crashes do not fall together.
      const atMs = Math.round(((index + 0.8 * next()) / count) * span)
      faults.push({ atMs, ...fault(kind, next) })
    }
  }
  return faults.sort((one, two) => one.atMs - two.atMs)
}

function fault(kind: Fault['kind'], next: () => number): Fault {
  const side = (): Side => (next() < 0.5 ? 'client' : 'backend')
  switch (kind) {
    case 'crash':
      return { kind, pauseMs: Math.round(next() * 1_000) }
    case 'abort':
      return { kind }
    case 'evict':
    case 'change':
      return { kind, pick: next() }
    case 'restart':
      return { kind, pick: next(), pauseMs: Math.round(next() * 1_500) }
    case 'cut':
      return {
        kind,
        side: side(),
        proxy: next(),
        pick: next(),
        afterBytes: next() < 0.5 ? 0 : Math.round(next() * 2_000),
      }
    case 'starve':
      return { kind, side: side(), proxy: next(), pick: next(), milliseconds: Math.round(500 + next() * 2_500) }
  }
}
