import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isObject, type Json } from '../protocol/envelope.ts'
import { answering, extra, gone, said, sceneOf, text, tool, type Script } from './scene.ts'

describe('all clusters at once', () => {
  const reads = tool({ readOnlyHint: true })
  const everywhere = (scripts: Readonly<Record<string, Script>>) =>
    sceneOf('addressable', scripts, { trustHints: true }, reads)

  test('give one answer with a labelled result of each, failures included, and leave one event', async () => {
    const failed = { isError: true, content: [{ type: 'text', text: 'no' }], structuredContent: { x: 1 } }
    const scene = everywhere({ a: answering(text('fine')), b: gone({ server: 'ns/s@b' }), c: answering(failed) })
    const { result } = await scene.post({ q: 1, cluster: '*' })
    assert.ok(isObject(result))
    assert.deepEqual(said({ result }), [
      'Cluster a:',
      'fine',
      'Cluster b failed: Server ns/s@a cannot be reached.',
      'Cluster c failed:',
      'no',
    ])
    const { structuredContent, isError, resultType } = result
    assert.ok(isObject(structuredContent) && Array.isArray(structuredContent['clusters']))
    const [a, b, c] = structuredContent['clusters']
    assert.ok(isObject(a) && isObject(b) && isObject(c) && isObject(a['result']) && isObject(c['result']))
    assert.deepEqual([a['cluster'], a['ok'], a['result']['content']], ['a', true, text('fine').content])
    assert.deepEqual(b, {
      cluster: 'b',
      ok: false,
      error: {
        code: 1502,
        message: 'Server ns/s@a cannot be reached.',
        data: { server: 'ns/s', cluster: 'b', retryAfterSeconds: 5, reason: 'backend_unavailable' },
      },
    })
    assert.deepEqual([c['cluster'], c['ok'], c['result']['structuredContent']], ['c', false, { x: 1 }])
    assert.deepEqual([isError, resultType], [undefined, 'complete'])
    for (const sent of scene.texts) assert.match(sent, /"arguments":\{"q":1\}/u)
    const [event, ...others] = extra(scene)
    assert.deepEqual(
      [event?.outcome, event?.['backend_name'], event?.['cluster'], event?.['clusters'], others.length],
      ['success', 'ns/s', undefined, 'a,b,c', 0],
    )
  })

  test('are in the words of their caller’s era, whatever the servers speak', async () => {
    for (const server of ['legacy', 'modern'] as const)
      for (const client of ['legacy', 'modern'] as const) {
        const scripts = { a: answering(text('a')), b: answering(text('b')) }
        const { post } = sceneOf('addressable', scripts, { trustHints: true }, reads, { era: server })
        const { result, id } = await post({ cluster: '*' }, {}, client)
        assert.ok(isObject(result))
        assert.deepEqual(said({ result }), ['Cluster a:', 'a', 'Cluster b:', 'b'])
        assert.deepEqual([result['resultType'], id], [client === 'modern' ? 'complete' : undefined, 1])
      }
  })

  test('are an error when all of them failed', async () => {
    const scene = everywhere({ a: gone(), b: gone({ server: 'ns/s@b' }) })
    const { result } = await scene.post({ cluster: '*' })
    assert.equal(isObject(result) && result['isError'], true)
    assert.equal(extra(scene)[0]?.outcome, 'application_error')
  })

  test('wait for nobody longer than for one call, and not for those who ask back', async () => {
    const asks = answering({ resultType: 'input_required', requestState: 's', inputRequests: {} })
    const scene = everywhere({ a: () => new Promise(() => undefined), b: asks, c: answering(text('c')) })
    const { result } = await scene.post({ cluster: '*' })
    assert.ok(isObject(result))
    assert.deepEqual(said({ result }), [
      'Cluster a failed: Server ns/s@a did not answer within 2 s.',
      'Cluster b failed: This has no answer at once in this cluster: call it there alone.',
      'Cluster c:',
      'c',
    ])
  })

  test('share the space of one answer, and run side by side', async () => {
    let running = 0
    let most = 0
    const slow: Script = async (call) => {
      running += 1
      most = Math.max(most, running)
      await new Promise((resolve) => setTimeout(resolve, 20))
      running -= 1
      return answering(text('x'))(call)
    }
    const clusters = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`c${at}`, slow]))
    const scene = everywhere(clusters)
    const { result } = await scene.post({ cluster: '*' })
    assert.equal((said({ result: result ?? null }) as Json[]).length, 80)
    assert.equal(most, 32)
    for (const limit of scene.limits) assert.equal(limit, Math.floor((8 * 1024 * 1024) / 40))
  })
})
