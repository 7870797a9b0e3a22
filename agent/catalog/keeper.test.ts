import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ServerCatalog } from '../../gateway/catalog/server.ts'
import { Fault } from '../../protocol/fault.ts'
import { Keeper, type Look } from './keeper.ts'

const catalog: ServerCatalog = {
  era: 'modern',
  revision: '2026-07-28',
  capabilities: {},
  ttlMs: 60_000,
  sections: { tools: [], prompts: [], resources: [], templates: [] },
  problems: [],
}
const away = () => new Fault('backend_unavailable', 'away')

/** A keeper of a server that answers as the script says, the last answer for ever. */
function kept(script: readonly (() => Promise<Look>)[], deadlineMs = 1_000) {
  const looks: number[] = []
  const found: ServerCatalog[] = []
  const look = async () => {
    looks.push(performance.now())
    return (script[looks.length - 1] ?? script.at(-1) ?? (() => Promise.reject(away())))()
  }
  const returns: number[] = []
  const keeper = new Keeper(
    'test/one',
    { deadlineMs, look, close: () => undefined },
    { found: (one) => found.push(one), returned: () => returns.push(looks.length) },
  )
  return { keeper, looks, found, returns }
}
const ok = async (): Promise<Look> => ({ catalog, againMs: 60_000 })
const fail = async (): Promise<Look> => {
  throw away()
}

test('a server that comes up is seen within moments, and tried at a bounded pace until then', async () => {
  const { keeper, looks, found } = kept([fail, fail, ok])
  const running = keeper.run()
  await keeper.seen
  keeper.stop()
  await running
  assert.equal(found.length, 1)
  const [first = 0, second = 0, third = 0] = looks
  assert.ok(second - first >= 240 && third - second >= 480 && third - first < 8_000)
  assert.equal(keeper.health.state, 'ok')
})

test('a hint makes it look soon, and many hints not for ever sooner', async () => {
  const { keeper, looks } = kept([ok])
  const running = keeper.run()
  await keeper.seen
  const began = performance.now()
  for (let times = 0; times < 60; times += 1) {
    keeper.hint()
    await sleep(20)
  }
  const seconds = (performance.now() - began) / 1000
  keeper.stop()
  await running
  // Three a second are already more than there should be, however long a machine takes for sixty hints.
  assert.ok(looks.length >= 2 && looks.length <= 2 + 3 * seconds, `${looks.length} looks in ${seconds} s`)
})

test('a server that was away and is back is told once, with news or without', async () => {
  const asBefore = async (): Promise<Look> => ({ catalog: undefined, againMs: 60_000 })
  const { keeper, looks, returns } = kept([ok, fail, asBefore, ok])
  const running = keeper.run()
  await keeper.seen
  const until = async (count: number) => {
    for (const deadline = Date.now() + 60_000; looks.length < count; await sleep(10)) assert.ok(Date.now() < deadline)
  }
  keeper.hint()
  await until(3)
  keeper.hint()
  await until(4)
  keeper.stop()
  await running
  assert.deepEqual(returns, [3])
})

test('a server that refuses is tried slowly, and its health says what is wrong', async () => {
  const { keeper, looks } = kept([() => Promise.reject(new Fault('backend_refused', 'Server x refuses.'))])
  const running = keeper.run()
  await sleep(700)
  keeper.stop()
  await running
  assert.equal(looks.length, 1)
  assert.deepEqual([keeper.health.state, keeper.health.message], ['failed', 'Server x refuses.'])
})

test('a server that does not answer is given up at the deadline', async () => {
  const { keeper } = kept([() => new Promise(() => undefined)], 100)
  const running = keeper.run()
  for (const deadline = Date.now() + 30_000; keeper.health.state !== 'failed'; await sleep(20))
    assert.ok(Date.now() < deadline, keeper.health.state)
  keeper.stop()
  await running
})

test('what is found after the end is not told', async () => {
  const late = Promise.withResolvers<Look>()
  const { keeper, found } = kept([() => late.promise])
  const running = keeper.run()
  keeper.stop()
  late.resolve({ catalog, againMs: 0 })
  await running
  assert.deepEqual(found, [])
})
