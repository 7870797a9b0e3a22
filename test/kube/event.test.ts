import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { KubeClient } from '../../agent/kube/client.ts'
import { EventRecorder } from '../../agent/kube/event.ts'
import type { KubeObject } from '../../agent/kube/object.ts'
import { FakeClock, until } from './clock.ts'
import type { Script } from './server.ts'
import { ScriptedServer } from './server.ts'

const thing: KubeObject = {
  apiVersion: 'toolhive.stacklok.dev/v1beta1',
  kind: 'MCPServer',
  metadata: { name: 'grafana', namespace: 'n', uid: 'u', resourceVersion: '5' },
}
const happening = { type: 'Warning', reason: 'SecretMissing', message: 'no secret "s"' } as const

async function setUp(
  t: TestContext,
  script: Script = (asked, reply) => reply.json(200, asked.body),
): Promise<{ server: ScriptedServer; recorder: EventRecorder; clock: FakeClock; errors: unknown[] }> {
  const server = await ScriptedServer.start(script)
  const client = new KubeClient(server.access)
  t.after(async () => {
    await client.close()
    server.close()
  })
  const clock = new FakeClock()
  const errors: unknown[] = []
  const options = {
    controller: 'waggle.dev/operator',
    instance: 'pod-1',
    clock,
    onError: (error: unknown) => errors.push(error),
  }
  return { server, recorder: new EventRecorder(client, options), clock, errors }
}

const made = (server: ScriptedServer): string[] => server.asked.map(({ method }) => method)

test('an event says what happened to whom, and who saw it', async (t) => {
  const { server, recorder } = await setUp(t)
  recorder.record(thing, happening)
  await until(() => server.asked.length === 1, 'the event')
  const asked = server.asked[0]
  assert.equal(asked?.path, '/apis/events.k8s.io/v1/namespaces/n/events')
  const { metadata, ...event } = server.body(0)
  assert.match(metadata.name, /^grafana\.[0-9a-f-]{36}$/)
  assert.deepEqual(event, {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    eventTime: '2026-01-01T00:00:01.000000Z',
    reportingController: 'waggle.dev/operator',
    reportingInstance: 'pod-1',
    action: 'Reconcile',
    reason: 'SecretMissing',
    type: 'Warning',
    note: 'no secret "s"',
    regarding: {
      apiVersion: thing.apiVersion,
      kind: 'MCPServer',
      name: 'grafana',
      namespace: 'n',
      uid: 'u',
      resourceVersion: '5',
    },
  })
})

test('the same again within a minute is counted and not written, afterwards it is a series of the same event', async (t) => {
  const { server, recorder, clock } = await setUp(t)
  for (let time = 0; time < 5; time++) recorder.record(thing, happening)
  await until(() => server.asked.length === 1, 'the event')
  clock.jump(60_000)
  recorder.record(thing, happening)
  await until(() => server.asked.length === 2, 'the series')
  const second = server.asked[1]
  assert.equal(second?.method, 'PATCH')
  assert.ok(second?.path.endsWith(`/${server.body(0).metadata.name}`))
  assert.deepEqual(second?.body, { series: { count: 6, lastObservedTime: '2026-01-01T00:01:01.000000Z' } })
})

test('another reason and another object are events of their own, another text after a minute too', async (t) => {
  const { server, recorder, clock } = await setUp(t)
  recorder.record(thing, happening)
  recorder.record(thing, { ...happening, reason: 'Other' })
  recorder.record({ ...thing, metadata: { ...thing.metadata, uid: 'v' } }, happening)
  clock.jump(60_000)
  recorder.record(thing, { ...happening, message: 'another secret' })
  await until(() => server.asked.length === 4, 'four events')
  assert.deepEqual(made(server), ['POST', 'POST', 'POST', 'POST'])
})

test('an event that the server has forgotten is made anew', async (t) => {
  const { server, recorder, clock } = await setUp(t, (asked, reply) => {
    if (asked.method === 'PATCH') reply.refuse(404, 'NotFound')
    else reply.json(201, asked.body)
  })
  recorder.record(thing, happening)
  await until(() => server.asked.length === 1, 'the event')
  clock.jump(60_000)
  recorder.record(thing, happening)
  await until(() => server.asked.length === 3, 'the new event')
  assert.deepEqual(made(server), ['POST', 'PATCH', 'POST'])
})

test('a server that refuses events disturbs nobody', async (t) => {
  const { recorder, errors } = await setUp(t, (_asked, reply) => reply.refuse(403, 'Forbidden'))
  recorder.record(thing, happening)
  await until(() => errors.length === 1, 'the error')
})

test('a storm is cut off: at most a hundred events are under way', async (t) => {
  const { server, recorder } = await setUp(t, () => undefined)
  for (let each = 0; each < 500; each++)
    recorder.record({ ...thing, metadata: { ...thing.metadata, uid: `${each}` } }, happening)
  await until(() => server.asked.length >= 8, 'events')
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.ok(server.asked.length <= 100)
})

test('what is too long for the server is cut', async (t) => {
  const { server, recorder } = await setUp(t)
  const metadata = { name: 'x'.repeat(253), namespace: 'n', uid: 'u' }
  recorder.record({ ...thing, metadata }, { ...happening, message: 'm'.repeat(5_000) })
  await until(() => server.asked.length === 1, 'the event')
  const event = server.body(0)
  assert.equal(String(event['note']).length, 1_024)
  assert.ok(event.metadata.name.length <= 253)
})
