import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { FakeClock } from '../../test/kube/clock.ts'
import { WorkQueue } from './queue.ts'

type Command =
  | { readonly kind: 'add' | 'retry'; readonly key: string }
  | { readonly kind: 'later'; readonly key: string; readonly ms: number }
  | { readonly kind: 'take' }
  | { readonly kind: 'done'; readonly pick: number }
  | { readonly kind: 'pass'; readonly ms: number }

const key = fc.constantFrom('a', 'b', 'c')
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ kind: fc.constant('add' as const), key }),
  fc.record({ kind: fc.constant('retry' as const), key }),
  fc.record({ kind: fc.constant('later' as const), key, ms: fc.nat(5_000) }),
  fc.record({ kind: fc.constant('take' as const) }),
  fc.record({ kind: fc.constant('done' as const), pick: fc.nat() }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(4_000) }),
)

test('whatever happens, no key is lost and no key is in two hands', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(command, { maxLength: 60 }), async (commands) => {
      const clock = new FakeClock()
      const queue = new WorkQueue({ clock })
      const inHand = new Set<string>()
      /** Asked for since it was last handed out. */
      const owed = new Set<string>()
      const asked = new Map<string, number>()
      const wrong: string[] = []
      const take = (): void => {
        const taking = async (): Promise<void> => {
          const taken = await queue.take()
          if (taken === undefined) return
          if (inHand.has(taken)) wrong.push(`${taken} is in two hands`)
          const times = asked.get(taken) ?? 0
          if (times === 0) wrong.push(`${taken} is handed out more often than it was asked for`)
          asked.set(taken, times - 1)
          owed.delete(taken)
          inHand.add(taken)
        }
        void taking()
      }
      const done = (taken: string): void => {
        inHand.delete(taken)
        queue.done(taken)
      }
      for (const step of commands) {
        if (step.kind === 'take') take()
        else if (step.kind === 'pass') clock.jump(step.ms)
        else if (step.kind === 'done') {
          const taken = [...inHand][step.pick % Math.max(1, inHand.size)]
          if (taken !== undefined) done(taken)
        } else {
          owed.add(step.key)
          asked.set(step.key, (asked.get(step.key) ?? 0) + 1)
          if (step.kind === 'add') queue.add(step.key)
          else if (step.kind === 'later') queue.addAfter(step.key, step.ms)
          else queue.retry(step.key)
        }
        await Promise.resolve()
        await Promise.resolve()
      }
      for (let round = 0; round < 10; round++) {
        clock.jump(10 * 60_000)
        for (const taken of inHand) done(taken)
        take()
        take()
        take()
        await Promise.resolve()
        await Promise.resolve()
      }
      assert.deepEqual(wrong, [])
      assert.deepEqual([...owed], [], 'lost keys')
      assert.equal(queue.depth, 0)
      assert.equal(clock.pending, 0)
    }),
    { numRuns: 500 },
  )
})

test('a key added while in hand is handed out once more, after it is done', async () => {
  const queue = new WorkQueue({ clock: new FakeClock() })
  queue.add('a')
  assert.equal(await queue.take(), 'a')
  queue.add('a')
  queue.add('a')
  const second = queue.take()
  queue.add('b')
  assert.equal(await second, 'b')
  queue.done('a')
  assert.equal(await queue.take(), 'a')
  queue.done('a')
  assert.equal(queue.depth, 0)
})

test('of several waits for a key the shortest counts', async () => {
  const clock = new FakeClock()
  const queue = new WorkQueue({ clock })
  queue.addAfter('a', 5_000)
  queue.addAfter('a', 1_000)
  queue.addAfter('a', 9_000)
  clock.jump(1_000)
  assert.equal(await queue.take(), 'a')
  queue.done('a')
  clock.jump(60_000)
  assert.equal(queue.depth, 0)
})

test('failures wait twice as long each time, up to five minutes, and success starts over', () => {
  const queue = new WorkQueue({ clock: new FakeClock(), random: () => 1 })
  const waits = Array.from({ length: 13 }, () => queue.retry('a'))
  assert.deepEqual(waits.slice(0, 4), [200, 400, 800, 1_600])
  assert.equal(waits.at(-1), 300_000)
  assert.equal(queue.failures('a'), 13)
  queue.forget('a')
  assert.equal(queue.retry('a'), 200)
  assert.equal(queue.retry('b', 7_000), 7_000)
})

test('a closed queue hands out nothing, and closing waits for what is in hand', async () => {
  const clock = new FakeClock()
  const queue = new WorkQueue({ clock })
  queue.add('a')
  await queue.take()
  const idle = queue.take()
  queue.addAfter('b', 10)
  let closed = false
  const closing = queue.close().then(() => (closed = true))
  assert.equal(await idle, undefined)
  queue.add('c')
  clock.jump(1_000)
  assert.equal(await queue.take(), undefined)
  assert.equal(closed, false)
  queue.done('a')
  await closing
  assert.equal(clock.pending, 0)
})
