import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KubeClient } from '../../agent/kube/client.ts'
import { Health } from '../../agent/kube/health.ts'
import { Informer } from '../../agent/kube/informer.ts'
import { KubeMetrics } from '../../agent/kube/metrics.ts'
import { TYPES } from '../../agent/kube/object.ts'
import { plain, probe, servePages } from '../../agent/kube/page.ts'
import { fastClock, until } from './clock.ts'
import { Collection } from './collection.ts'
import { ScriptedServer } from './server.ts'

test('live and ready say what is wrong, by name', () => {
  const health = new Health()
  let why: string | undefined
  health.addLive('loop', () => why)
  health.addReady('leader', () => 'not yet')
  assert.deepEqual(health.live(), { ok: true, text: 'ok\n' })
  assert.deepEqual(health.ready(), { ok: false, text: 'leader: not yet\n' })
  why = 'stuck'
  assert.deepEqual(health.live(), { ok: false, text: 'loop: stuck\n' })
})

test('an informer makes ready when it is synced; a server that is away makes nobody dead; all of it is counted', async (t) => {
  const collection = new Collection()
  collection.put('a', '1')
  let away = true
  const server = await ScriptedServer.start((asked, reply) => {
    if (away) reply.refuse(403, 'Forbidden')
    else collection.serve(asked, reply)
  })
  const metrics = new KubeMetrics()
  const client = new KubeClient(server.access, { metrics })
  const informer = new Informer(client, TYPES.ConfigMap, { clock: fastClock(300), metrics })
  const health = new Health()
  health.addInformer(informer)
  metrics.observe(informer)
  const stop = new AbortController()
  t.after(async () => {
    stop.abort()
    await client.close()
    server.close()
  })
  informer.start(stop.signal)
  await until(() => server.asked.length > 8, 'some minutes of refusals')
  assert.equal(health.live().ok, true)
  assert.deepEqual(health.ready(), { ok: false, text: 'configmaps: not read yet: refused: Forbidden\n' })
  away = false
  await informer.synced()
  assert.equal(health.ready().ok, true)
  metrics.turn('c', 'done', 0.2, 0.1)
  metrics.leads(true)
  const text = await metrics.registry.metrics()
  assert.match(text, /waggle_kube_objects\{type="configmaps"\} 1/)
  assert.match(text, /waggle_kube_requests_total\{verb="GET",code="403"\} \d+/)
  assert.match(text, /waggle_reconcile_total\{controller="c",result="done"\} 1/)
  assert.match(text, /waggle_leader 1/)
})

test('pages are served by path, made anew each time, and nothing else is', async (t) => {
  let count = 0
  const pages = await servePages(
    {
      '/metrics': () => plain(200, `${++count}`),
      '/readyz': () => probe({ ok: false, text: 'leader: not yet\n' }),
      '/broken': () => Promise.reject(new Error('secret')),
    },
    0,
    '127.0.0.1',
  )
  t.after(() => pages.close())
  const ask = async (path: string, init?: RequestInit): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${pages.port}${path}`, init)
    return `${response.status} ${await response.text()}`
  }
  assert.equal(await ask('/metrics'), '200 1')
  assert.equal(await ask('/metrics?x=1'), '200 2')
  assert.equal(await ask('/readyz'), '503 leader: not yet\n')
  assert.equal(await ask('/broken'), '500 failed\n')
  assert.equal(await ask('/other'), '404 not found\n')
  assert.equal(await ask('/metrics', { method: 'POST' }), '405 GET only\n')
})
