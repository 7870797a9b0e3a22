// Leave to write, as long as it lasts. Every write of a fenced client asks at the moment it goes onto the wire, so a
// process that was stopped beyond its lease writes nothing when it wakes, not even what was already under way.

export interface Fence {
  /** Aborts when leave is lost; whoever works under the fence stops then. */
  readonly signal: AbortSignal
  /** Throws a FencedError when leave is over by the clock, whether or not the signal has been heard of yet. */
  check(): void
}
