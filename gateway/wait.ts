// Waits that end before what is waited for: now and then, so that whoever reads a stream can be told that it is still there,
// or because a signal aborts. The work itself goes on.

/** The value, or undefined when it takes longer than this. */
export async function orQuiet<T>(work: Promise<T>, milliseconds: number): Promise<T | undefined> {
  const { promise: quiet, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => resolve(undefined), milliseconds)
  try {
    return await Promise.race([work, quiet])
  } finally {
    clearTimeout(timer)
  }
}

/** The value; throws the signal's reason as soon as it aborts, also where what is waited for does not listen to it. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  // What fails later fails unheard.
  work.catch(() => undefined)
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  if (signal.aborted) abort()
  else signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([aborted.promise, work])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
