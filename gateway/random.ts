// Random bytes from a pool: asking the platform for a few at a time costs more than using them.

const POOL = 4096
const pool = new Uint8Array(POOL)
let used = POOL

/** `count` unpredictable bytes, never handed out twice. */
export function randomBytes(count: number): Uint8Array {
  if (used + count > POOL) {
    crypto.getRandomValues(pool)
    used = 0
  }
  const bytes = pool.slice(used, used + count)
  pool.fill(0, used, used + count)
  used += count
  return bytes
}
