import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { KubeClient } from '../../agent/kube/client.ts'
import { FencedError } from '../../agent/kube/error.ts'
import { LeaderElection } from '../../agent/kube/leader.ts'
import type { ElectionOptions, Leadership } from '../../agent/kube/leader.ts'
import type { KubeObject } from '../../agent/kube/object.ts'
import { TYPES } from '../../agent/kube/object.ts'
import { FakeClock, until } from './clock.ts'
import type { Asked, Reply } from './server.ts'
import { ScriptedServer } from './server.ts'

interface Spec {
  holderIdentity?: string
  leaseDurationSeconds?: number
  renewTime?: string
  leaseTransitions?: number
}

/** Holds one Lease as the API server does, and anything else that is written. Requests tell who asks by their token. */
class LeaseServer {
  lease: KubeObject | undefined
  readonly writes: string[] = []
  /** Who gets no answer at all. */
  readonly cutOff = new Set<string>()
  version = 1
  onWrite: (() => void) | undefined
  /** Writes that are done and whose answer is never sent. */
  swallow = false

  /** Whether requests of this one are left without answer. */
  silent(name: string): boolean {
    return this.swallow || this.cutOff.has(name)
  }

  get spec(): Spec {
    return this.lease?.spec ?? {}
  }

  serve(asked: Asked, reply: Reply): void {
    const who = String(asked.headers.authorization)
    if (this.cutOff.has(who)) return
    if (asked.method !== 'GET') this.onWrite?.()
    if (asked.method !== 'GET') this.writes.push(`${who} ${asked.method} ${asked.path.split('/').at(-2)}`)
    if (!asked.path.includes('/leases')) return reply.json(200, asked.body)
    const sent = asked.body as KubeObject | undefined
    if (asked.method === 'GET') {
      if (this.lease === undefined) return reply.refuse(404, 'NotFound')
      return reply.json(200, this.lease)
    }
    if (asked.method === 'POST' && this.lease !== undefined) return reply.refuse(409, 'AlreadyExists')
    const current = this.lease?.metadata.resourceVersion
    if (asked.method === 'PUT' && sent?.metadata.resourceVersion !== current) return reply.refuse(409, 'Conflict')
    if (sent === undefined) return reply.refuse(400, 'BadRequest')
    this.lease = { ...sent, metadata: { ...sent.metadata, resourceVersion: `${++this.version}` } }
    if (!this.swallow) reply.json(200, this.lease)
  }
}

interface Process {
  readonly clock: FakeClock
  readonly client: KubeClient
  readonly election: LeaderElection
  readonly stop: AbortController
  leadership: Leadership | undefined
  start(): void
}

async function setUp(
  t: TestContext,
): Promise<{ lease: LeaseServer; process: (name: string, options?: Partial<ElectionOptions>) => Process }> {
  const lease = new LeaseServer()
  const server = await ScriptedServer.start((asked, reply) => lease.serve(asked, reply))
  const clients: KubeClient[] = []
  t.after(async () => {
    for (const client of clients) await client.close()
    server.close()
  })
  const process = (name: string, options: Partial<ElectionOptions> = {}): Process => {
    const client = new KubeClient({ ...server.access, authorization: () => Promise.resolve(name) })
    clients.push(client)
    let underWay = 0
    const raw = client.raw.bind(client)
    client.raw = async (...args) => {
      underWay += 1
      return raw(...args).finally(() => (underWay -= 1))
    }
    const clock = new FakeClock(() => underWay > 0 && !lease.silent(name))
    const election = new LeaderElection(client, { namespace: 'n', name: 'l', identity: name, clock, ...options })
    const stop = new AbortController()
    t.after(() => stop.abort())
    const made: Process = {
      clock,
      client,
      election,
      stop,
      leadership: undefined,
      start() {
        election.acquire(stop.signal).then(
          (leadership) => (made.leadership = leadership),
          () => undefined,
        )
      },
    }
    return made
  }
  return { lease, process }
}

const leads = (process: Process): boolean =>
  process.leadership !== undefined && !process.leadership.fence.signal.aborted

const write = (process: Process): Promise<KubeObject> => {
  if (process.leadership === undefined) throw new Error('it never led')
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace: 'n', name: 'x' } }
  return process.client.fenced(process.leadership.fence).apply(object, TYPES.ConfigMap, { manager: 'm' })
}

test('where there is no lease the first one makes it and leads at once', async (t) => {
  const { lease, process } = await setUp(t)
  const a = process('a')
  a.start()
  await until(() => leads(a), 'a to lead')
  assert.equal(lease.spec.holderIdentity, 'a')
  assert.equal(lease.spec.leaseDurationSeconds, 15)
})

test('a lease that was made beforehand without a holder is taken at once', async (t) => {
  const { lease, process } = await setUp(t)
  lease.lease = {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { namespace: 'n', name: 'l', resourceVersion: '1' },
  }
  const a = process('a')
  a.start()
  await until(() => leads(a), 'a to lead')
})

test('who renews keeps the lead, and others wait for ever', async (t) => {
  const { lease, process } = await setUp(t)
  const a = process('a')
  const b = process('b')
  a.start()
  await until(() => leads(a), 'a to lead')
  b.start()
  for (let second = 0; second < 40; second += 2) {
    await a.clock.advance(2_000)
    await b.clock.advance(2_000)
  }
  assert.ok(leads(a))
  assert.equal(b.leadership, undefined)
  assert.equal(lease.spec.leaseTransitions, 1)
  await write(a)
})

test('a dead leader is followed after the lease, by the clock of the one who waits', async (t) => {
  const { lease, process } = await setUp(t)
  const a = process('a')
  const b = process('b')
  a.start()
  await until(() => leads(a), 'a to lead')
  lease.cutOff.add('a')
  b.start()
  await b.clock.advance(14_000)
  assert.equal(b.leadership, undefined)
  await b.clock.advance(4_000)
  await until(() => leads(b), 'b to lead')
  assert.equal(lease.spec.leaseTransitions, 2)
})

test('a clock that is an hour wrong changes nothing', async (t) => {
  const { lease, process } = await setUp(t)
  const a = process('a')
  a.start()
  await until(() => leads(a), 'a to lead')
  lease.spec.renewTime = '2001-01-01T00:00:00.000000Z'
  const b = process('b')
  b.start()
  await b.clock.advance(8_000)
  assert.equal(b.leadership, undefined)
})

test('a leader that was stopped beyond its lease writes nothing when it wakes', async (t) => {
  const { lease, process } = await setUp(t)
  const a = process('a')
  const b = process('b')
  a.start()
  await until(() => leads(a), 'a to lead')
  await write(a)
  b.start()
  a.clock.freeze(20_000)
  await b.clock.advance(20_000)
  await until(() => leads(b), 'b to lead')
  const before = lease.writes.filter((each) => each.startsWith('a ')).length
  assert.equal(before, 2)
  await assert.rejects(write(a), FencedError)
  await a.clock.advance(30_000)
  await assert.rejects(write(a), FencedError)
  await write(b)
  assert.equal(lease.writes.filter((each) => each.startsWith('a ')).length, before)
  assert.equal(lease.spec.holderIdentity, 'b')
  assert.equal(leads(a), false)
})

test('a leader without answers loses leave before anybody can follow', async (t) => {
  const { lease, process } = await setUp(t)
  const a = process('a')
  a.start()
  await until(() => leads(a), 'a to lead')
  lease.cutOff.add('a')
  await a.clock.advance(9_900)
  assert.ok(leads(a))
  await a.clock.advance(200)
  assert.ok(!leads(a))
  await assert.rejects(write(a), FencedError)
})

test('leave counts from before the renewal was sent, not from its answer', async (t) => {
  const { lease, process } = await setUp(t)
  const a = process('a')
  lease.onWrite = () => {
    lease.onWrite = undefined
    a.clock.freeze(4_000)
  }
  a.start()
  await until(() => leads(a), 'a to lead')
  a.clock.freeze(5_900)
  await write(a)
  a.clock.freeze(200)
  await assert.rejects(write(a), FencedError)
})

test('a leader whose lease was taken by force stops', async (t) => {
  const { lease, process } = await setUp(t)
  const a = process('a')
  a.start()
  await until(() => leads(a), 'a to lead')
  lease.lease = { ...(lease.lease as KubeObject), spec: { holderIdentity: 'z' } }
  lease.lease.metadata.resourceVersion = '999'
  await a.clock.advance(2_000)
  await until(() => !leads(a), 'a to stop')
  assert.equal(lease.spec.holderIdentity, 'z')
})

test('a change of the lease by somebody else is a conflict that the leader survives', async (t) => {
  const { lease, process } = await setUp(t)
  const a = process('a')
  a.start()
  await until(() => leads(a), 'a to lead')
  lease.lease = { ...(lease.lease as KubeObject) }
  lease.lease.metadata = { ...lease.lease.metadata, resourceVersion: '999', labels: { by: 'hand' } }
  lease.version = 1_000
  await a.clock.advance(12_000)
  assert.ok(leads(a))
  assert.deepEqual(lease.lease?.metadata.labels, { by: 'hand' })
})

test('who releases is followed at the next look', async (t) => {
  const { lease, process } = await setUp(t)
  const a = process('a')
  const b = process('b')
  a.start()
  await until(() => leads(a), 'a to lead')
  b.start()
  await b.clock.advance(100)
  const releasing = a.leadership?.release()
  await assert.rejects(write(a), FencedError)
  await releasing
  assert.equal(lease.spec.holderIdentity, '')
  await b.clock.advance(2_000)
  await until(() => leads(b), 'b to lead')
  assert.equal(a.clock.pending, 0)
})

test('a renewal whose answer never came does not spoil the release', async (t) => {
  const { lease, process } = await setUp(t)
  const a = process('a')
  a.start()
  await until(() => leads(a), 'a to lead')
  const version = lease.version
  lease.swallow = true
  await a.clock.advance(2_000)
  await until(() => lease.version > version, 'the renewal')
  lease.swallow = false
  await a.leadership?.release()
  assert.equal(lease.spec.holderIdentity, '')
})

test('a process that starts again under its name leads at once', async (t) => {
  const { process } = await setUp(t)
  const a = process('a')
  a.start()
  await until(() => leads(a), 'a to lead')
  const again = process('a')
  again.start()
  await until(() => leads(again), 'the second a to lead')
})

test('waiting ends with its signal', async (t) => {
  const { process } = await setUp(t)
  const a = process('a')
  a.start()
  await until(() => leads(a), 'a to lead')
  const b = process('b')
  const acquiring = b.election.acquire(b.stop.signal)
  await b.clock.advance(100)
  b.stop.abort(new Error('enough'))
  await assert.rejects(acquiring, /enough/)
})

test('leave that lasts as long as the lease is refused', async (t) => {
  const { process } = await setUp(t)
  assert.throws(() => process('a', { leaseMs: 10_000 }), /renewMs/)
})
