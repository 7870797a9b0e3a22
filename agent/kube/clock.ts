// Time as the runtime sees it. `monotonic` only goes forward and goes on while the process is stopped, so leases and
// back-offs are measured with it; `wall` is for what other people read. Tests bring a clock of their own.

export interface Clock {
  /** Milliseconds since some fixed point. */
  monotonic(): number
  /** Milliseconds since the epoch. */
  wall(): number
  /** Calls back once; the returned function takes it back. */
  after(milliseconds: number, ring: () => void): () => void
}

export const systemClock: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  after(milliseconds, ring) {
    const timer = setTimeout(ring, milliseconds)
    return () => clearTimeout(timer)
  },
}

/** Resolves after some milliseconds, or as soon as the signal aborts: look at the signal afterwards. */
export function sleep(clock: Clock, milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const wake = (): void => {
      cancel()
      signal?.removeEventListener('abort', wake)
      resolve()
    }
    const cancel = clock.after(milliseconds, wake)
    signal?.addEventListener('abort', wake, { once: true })
  })
}

/** Resolves as soon as the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Rejects when `work` takes longer; the work itself goes on, so give it the means to notice. */
export async function within<T>(clock: Clock, milliseconds: number, work: Promise<T>, late: () => Error): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const cancel = clock.after(milliseconds, () => reject(late()))
  try {
    return await Promise.race([work, promise])
  } finally {
    cancel()
  }
}
