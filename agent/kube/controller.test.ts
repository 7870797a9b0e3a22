import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../../test/kube/clock.ts'
import type { ControllerOptions, Reconcile, TurnResult } from './controller.ts'
import { Controller } from './controller.ts'
import { KubeError, TerminalError } from './error.ts'

interface Setup {
  readonly controller: Controller
  readonly clock: FakeClock
  readonly results: TurnResult[]
  readonly errors: { readonly key: string; readonly error: unknown; readonly retryInMs: number | undefined }[]
}

function setUp(reconcile: Reconcile, options: Partial<ControllerOptions> = {}): Setup {
  const clock = new FakeClock()
  const results: TurnResult[] = []
  const errors: Setup['errors'] = []
  const controller = new Controller({
    name: 'c',
    reconcile,
    clock,
    random: () => 1,
    metrics: { turn: (_name, result) => results.push(result), depth: () => undefined },
    onError: (key, error, retryInMs) => errors.push({ key, error, retryInMs }),
    ...options,
  })
  controller.start()
  return { controller, clock, results, errors }
}

const refused = (status: number, retryAfterMs?: number): KubeError =>
  new KubeError({ status, reason: 'R', message: 'm', retryAfterMs })

test('a key is worked on, and again when it asks to be', async () => {
  const turns: string[] = []
  const { controller, clock, results } = setUp((key) => {
    turns.push(key)
    return Promise.resolve(turns.length === 1 ? { requeueAfterMs: 5_000 } : undefined)
  })
  controller.queue.add('n/a')
  await clock.advance(4_999)
  assert.deepEqual(turns, ['n/a'])
  await clock.advance(1)
  assert.deepEqual(turns, ['n/a', 'n/a'])
  assert.deepEqual(results, ['requeue', 'done'])
  await controller.stop()
})

test('what fails comes back later and later, and not before the server wants it', async () => {
  let turns = 0
  const { controller, clock, errors } = setUp(() => {
    turns += 1
    if (turns <= 2) throw new Error('no')
    if (turns === 3) return Promise.reject(refused(429, 9_000))
    return Promise.resolve()
  })
  controller.queue.add('n/a')
  await clock.advance(60_000)
  assert.deepEqual(
    errors.map(({ retryInMs }) => retryInMs),
    [200, 400, 9_000],
  )
  assert.equal(turns, 4)
  assert.equal(controller.queue.failures('n/a'), 0)
  await controller.stop()
})

test('what cannot succeed waits for a change', async () => {
  const failures = [new TerminalError('no'), refused(422), refused(400)]
  for (const failure of failures) {
    let turns = 0
    const { controller, clock, results, errors } = setUp(() => {
      turns += 1
      return turns === 1 ? Promise.reject(failure) : Promise.resolve()
    })
    controller.queue.add('n/a')
    await clock.advance(10 * 60_000)
    assert.deepEqual(results, ['terminal'])
    assert.equal(errors[0]?.retryInMs, undefined)
    controller.queue.add('n/a')
    await clock.advance(1)
    assert.deepEqual(results, ['terminal', 'done'])
    await controller.stop()
  }
})

test('a turn that takes too long is aborted, counts as a failure, and the worker goes on', async () => {
  const aborted: unknown[] = []
  const { controller, clock, results } = setUp(
    (key, { signal }) => {
      if (key === 'n/b') return Promise.resolve()
      signal.addEventListener('abort', () => aborted.push(signal.reason))
      return new Promise(() => undefined)
    },
    { workers: 1 },
  )
  controller.queue.add('n/a')
  controller.queue.add('n/b')
  await clock.advance(59_999)
  assert.equal(aborted.length, 0)
  await clock.advance(2)
  assert.equal(aborted.length, 1)
  await clock.advance(5_000)
  assert.deepEqual(results, ['failed', 'done'])
  assert.match(String(aborted[0]), /more than 60000 ms/)
  controller.abort()
})

test('a turn that is over has ended before its key has the next one', async () => {
  let now = 0
  let most = 0
  const { controller, clock, results } = setUp(async (_key, { signal }) => {
    now += 1
    most = Math.max(most, now)
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    await new Promise<void>((resolve) => clock.after(3_000, resolve))
    now -= 1
    signal.throwIfAborted()
  })
  controller.queue.add('n/a')
  await clock.advance(1_000)
  controller.queue.add('n/a')
  await clock.advance(130_000)
  assert.equal(most, 1)
  assert.deepEqual(results, ['failed', 'failed'])
  controller.abort()
})

test('as many keys are worked on at once as there are workers', async () => {
  let now = 0
  let most = 0
  const gate = Promise.withResolvers<void>()
  const { controller, clock } = setUp(
    async () => {
      now += 1
      most = Math.max(most, now)
      await gate.promise
      now -= 1
    },
    { workers: 3 },
  )
  for (const key of ['a', 'b', 'c', 'd', 'e', 'a']) controller.queue.add(key)
  await clock.advance(10)
  assert.equal(most, 3)
  gate.resolve()
  await clock.advance(10)
  assert.equal(now, 0)
  await controller.stop()
})

test('stopping lets turns finish, and aborts after twenty seconds those that do not', async () => {
  const gate = Promise.withResolvers<void>()
  const quick = setUp(() => gate.promise)
  quick.controller.queue.add('a')
  await quick.clock.advance(1)
  const stopping = quick.controller.stop()
  gate.resolve()
  await stopping
  assert.deepEqual(quick.results, ['done'])

  let aborted = false
  const stuck = setUp((_key, { signal }) => {
    signal.addEventListener('abort', () => (aborted = true))
    return new Promise(() => undefined)
  })
  stuck.controller.queue.add('a')
  await stuck.clock.advance(1)
  let stopped = false
  void stuck.controller.stop().then(() => (stopped = true))
  await stuck.clock.advance(19_000)
  assert.equal(aborted, false)
  await stuck.clock.advance(3_000)
  assert.equal(aborted, true)
  assert.equal(stopped, true)
})
