// The load generator, a process of its own: a closed loop of virtual users against one target for one slice of time.
// Users stay connected between slices, so that a slice measures operations and not logins.
import { Asker } from './asker.ts'
import { cpuOf } from './usage.ts'
import { User } from './user.ts'
import type { Operation, Target, Worker } from './user.ts'

/** One slice of load: what the parent process sends. */
export interface Order {
  readonly target: Target
  readonly operation: Operation
  /** How many users work at the same time. */
  readonly users: number
  readonly warmMs: number
  readonly measureMs: number
  /** The process whose CPU time is counted. */
  readonly pid: number
}

/** What comes back. Operations that were under way when the time was up are finished and counted. */
export interface Slice {
  readonly operations: number
  /** All HTTP requests of this order, those of logins and of warming up included. */
  readonly sent: number
  readonly seconds: number
  readonly cpuSeconds: number
  /** Milliseconds per operation, in order of completion. */
  readonly latencies: Float64Array
  /** Size of the last answer's body. */
  readonly bytes: number
  readonly errors: number
  readonly firstError: string | undefined
}

const MAX_ERRORS = 100
const pool = new Map<string, Worker[]>()

async function users({ target, operation, users: count }: Order): Promise<Worker[]> {
  const kind = operation === 'ask' ? Asker : User
  const key = `${target.url} ${target.era} ${kind.name}`
  const known = pool.get(key) ?? []
  const fresh = Array.from({ length: Math.max(0, count - known.length) }, (_, n) => new kind(target, known.length + n))
  for (const user of fresh) await user.open()
  const all = [...known, ...fresh]
  pool.set(key, all)
  return all.slice(0, count)
}

function sent(): number {
  return [...pool.values()].flat().reduce((sum, user) => sum + user.sent, 0)
}

async function loop(
  order: Order,
  crowd: readonly Worker[],
  durationMs: number,
): Promise<Omit<Slice, 'cpuSeconds' | 'sent'>> {
  const latencies: number[] = []
  let bytes = 0
  let errors = 0
  let firstError: string | undefined
  const start = performance.now()
  const end = start + durationMs
  const work = async (user: Worker): Promise<void> => {
    for (let now = performance.now(); now < end && errors < MAX_ERRORS;) {
      try {
        bytes = await user.run(order.operation)
      } catch (error) {
        errors++
        firstError ??= String(error)
      }
      const done = performance.now()
      latencies.push(done - now)
      now = done
    }
  }
  await Promise.all(crowd.map(work))
  return {
    operations: latencies.length - errors,
    seconds: (performance.now() - start) / 1000,
    latencies: Float64Array.from(latencies),
    bytes,
    errors,
    firstError,
  }
}

async function run(order: Order): Promise<Slice> {
  const before = sent()
  const crowd = await users(order)
  const warm = await loop(order, crowd, order.warmMs)
  if (warm.errors > 0) return { ...warm, cpuSeconds: 0, sent: sent() - before }
  const used = cpuOf(order.pid)
  const slice = await loop(order, crowd, order.measureMs)
  return { ...slice, cpuSeconds: cpuOf(order.pid) - used, sent: sent() - before }
}

process.on('message', (order: Order) => {
  run(order).then(
    (slice) => process.send?.(slice),
    (error: unknown) => process.send?.({ failed: String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))
process.send?.({ ready: true })
