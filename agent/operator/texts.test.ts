import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '../kube/object.ts'
import { Texts } from './texts.ts'

const ca = (resourceVersion: string, data?: Record<string, string>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'ca', namespace: 'n', uid: 'u', resourceVersion },
  ...(data !== undefined && { data }),
})

test('what is named without its text is read once, by whoever plans first, and all others wait for it', async () => {
  const texts = new Texts()
  let reads = 0
  const read = async (): Promise<KubeObject> => {
    reads += 1
    await new Promise((resolve) => setTimeout(resolve, 5))
    return ca('1', { 'ca.crt': 'x' })
  }
  texts.want('n', 'ca', ca('1'))
  await Promise.all([texts.fill(read), texts.fill(read), texts.fill(read)])
  assert.equal(reads, 1)
  assert.deepEqual(texts.complete(ca('1')).data, { 'ca.crt': 'x' })
  texts.want('n', 'ca', ca('1'))
  await texts.fill(read)
  assert.equal(reads, 1)
  assert.equal(texts.complete(ca('2')).data, undefined, 'a text is that of its version')
  assert.deepEqual(texts.complete(ca('2', { a: 'b' })).data, { a: 'b' }, 'the informer’s own text is the newer one')
})

test('what the informer does not show, and what nobody names any more, is not read', async () => {
  const texts = new Texts()
  texts.want('n', 'ca', undefined)
  texts.want('n', 'gone', ca('1'))
  texts.forget('n', 'gone')
  await texts.fill(() => Promise.reject(new Error('read')))
})

test('what cannot be read is missing still, and what does not exist is not waited for', async () => {
  const texts = new Texts()
  texts.want('n', 'ca', ca('1'))
  await assert.rejects(
    texts.fill(() => Promise.reject(new Error('away'))),
    /away/u,
  )
  await texts.fill(async () => undefined)
  assert.equal(texts.complete(ca('1')).data, undefined)
})

test('an empty text is asked for once', async () => {
  const texts = new Texts()
  let reads = 0
  for (let i = 0; i < 3; i++) {
    texts.want('n', 'ca', ca('1'))
    await texts.fill(async () => ((reads += 1), ca('1')))
  }
  assert.equal(reads, 1)
})
