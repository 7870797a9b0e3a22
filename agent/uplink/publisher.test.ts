import assert from 'node:assert/strict'
import { mock, test, type TestContext } from 'node:test'
import { readResource } from '../../crds/cluster.ts'
import { MAX_PIECE, type UplinkFrame } from '../../protocol/link.ts'
import type { Snapshot } from '../../protocol/snapshot.ts'
import { Publisher, type Line } from './publisher.ts'
import type { Offer } from './snapshot.ts'
import type { Published } from '../../plan/trim.ts'

interface Sent {
  readonly frame: UplinkFrame
  readonly payload: Uint8Array
}

/** A line whose network takes a frame each time it is told to. */
class Slow implements Line {
  readonly sent: Sent[] = []
  #taken: (() => void)[] = []

  push(frame: UplinkFrame, payload: Uint8Array): Promise<void> {
    this.sent.push({ frame, payload })
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#taken.push(resolve)
    return promise
  }

  /** Takes what there is, and what follows from that. */
  async take(): Promise<void> {
    for (let quiet = 0; quiet < 20; quiet += 1) {
      for (const done of this.#taken.splice(0)) {
        done()
        quiet = 0
      }
      await Promise.resolve()
    }
  }
}

function offer(name: string, catalog?: string): Offer {
  const metadata = { name, namespace: 'team' }
  const reading = readResource({
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind: 'MCPServer',
    metadata,
    spec: { image: 'x' },
  })
  assert.ok(reading.ok)
  return { resource: reading.resource as Published, uid: name, catalog }
}

function publisher(t: TestContext, offers: readonly Offer[]): Publisher {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.after(() => mock.timers.reset())
  return new Publisher({
    offers: () => offers,
    registered: () => undefined,
    failed: (error) => assert.fail(String(error)),
  })
}

test('texts go out one after the other, a piece at a time', async (t) => {
  const large = JSON.stringify({ tools: 'x'.repeat(2 * MAX_PIECE) })
  const made = publisher(t, [offer('a', large), offer('b', '{"tools":[]}')])
  const line = new Slow()
  made.heard(line, { kind: 'lead', epoch: 4 })
  await line.take()
  const { items } = JSON.parse(Buffer.from(line.sent[0]?.payload ?? []).toString()) as Snapshot
  line.sent.length = 0
  made.heard(line, { kind: 'want', seq: 1, digests: items.map(({ digest }) => digest) })
  await Promise.resolve()
  await Promise.resolve()
  assert.equal(line.sent.length, 1, 'the next piece waits until this one has left')
  await line.take()
  const order = line.sent.map(({ frame, payload }) => {
    assert.ok(frame.kind === 'body' && frame.epoch === 4 && payload.length <= MAX_PIECE)
    return `${items.findIndex(({ digest }) => digest === frame.digest)}${frame.last ? '!' : ''}`
  })
  assert.deepEqual(order, ['0', '0', '0!', '1!'])
})

test('an edge that says nothing is told again, later each time, and nothing else is sent meanwhile', async (t) => {
  const made = publisher(t, [offer('a')])
  const line = new Slow()
  const seqs = () => line.sent.map(({ frame }) => (frame.kind === 'snapshot' ? frame.seq : frame.kind))
  made.heard(line, { kind: 'lead', epoch: 1 })
  await line.take()
  made.changed()
  mock.timers.tick(29_000)
  await line.take()
  assert.deepEqual(seqs(), [1])
  mock.timers.tick(1_000)
  await line.take()
  assert.deepEqual(seqs(), [1, 2])
  mock.timers.tick(59_000)
  await line.take()
  assert.deepEqual(seqs(), [1, 2])
  mock.timers.tick(1_000)
  await line.take()
  assert.deepEqual(seqs(), [1, 2, 3])
  // An answer for one of before is none for this one.
  made.heard(line, { kind: 'registered', seq: 2, dropped: [] })
  made.heard(line, { kind: 'registered', seq: 3, dropped: [] })
  mock.timers.tick(599_000)
  await line.take()
  assert.deepEqual(seqs(), [1, 2, 3])
  // What it makes of the same snapshot may be different by now.
  mock.timers.tick(1_000)
  await line.take()
  assert.deepEqual(seqs(), [1, 2, 3, 4])
})

test('what a connection that leads no more was told is not finished', async (t) => {
  const large = JSON.stringify({ tools: 'x'.repeat(4 * MAX_PIECE) })
  const made = publisher(t, [offer('a', large)])
  const line = new Slow()
  made.heard(line, { kind: 'lead', epoch: 1 })
  await line.take()
  const { items } = JSON.parse(Buffer.from(line.sent[0]?.payload ?? []).toString()) as Snapshot
  made.heard(line, { kind: 'want', seq: 1, digests: items.map(({ digest }) => digest) })
  await Promise.resolve()
  await Promise.resolve()
  const before = line.sent.length
  const next = new Slow()
  made.heard(next, { kind: 'lead', epoch: 2 })
  await line.take()
  await next.take()
  assert.equal(line.sent.length, before)
  assert.deepEqual(
    next.sent.map(({ frame }) => frame),
    [{ kind: 'snapshot', epoch: 2, seq: 1, last: true }],
  )
  assert.deepEqual([made.current?.epoch, made.current?.seq], [2, 1])
  made.closed(line)
  assert.equal(made.current?.epoch, 2)
  made.closed(next)
  assert.equal(made.current, undefined)
})
