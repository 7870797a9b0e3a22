// A wait that is interrupted now and then, so that whoever reads a stream can be told that it is still there.

/** The value, or undefined when it takes longer than this. The work goes on. */
export async function orQuiet<T>(work: Promise<T>, milliseconds: number): Promise<T | undefined> {
  const { promise: quiet, resolve } = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => resolve(undefined), milliseconds)
  try {
    return await Promise.race([work, quiet])
  } finally {
    clearTimeout(timer)
  }
}
