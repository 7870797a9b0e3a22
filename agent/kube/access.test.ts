import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { TestContext } from 'node:test'
import { findAccess, kubeconfigAccess, podAccess, tokenFile } from './access.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'access-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

test('a token is read again after a minute, and the last one serves while reading fails', async (t) => {
  const file = join(await folder(t), 'token')
  let now = 0
  const token = tokenFile(file, () => now)
  await assert.rejects(token())
  await writeFile(file, 'one\n')
  assert.equal(await token(), 'Bearer one')
  await writeFile(file, 'two\n')
  now = 59_000
  assert.equal(await token(), 'Bearer one')
  now = 61_000
  assert.equal(await token(), 'Bearer two')
  await rm(file)
  now = 200_000
  assert.equal(await token(), 'Bearer two')
})

test('a pod finds its API server by its environment and its service account', async (t) => {
  const path = await folder(t)
  await writeFile(join(path, 'ca.crt'), 'CA')
  await writeFile(join(path, 'token'), 'secret')
  const four = await podAccess({ KUBERNETES_SERVICE_HOST: '10.0.0.1', KUBERNETES_SERVICE_PORT: '6443' }, path)
  assert.equal(four.server, 'https://10.0.0.1:6443')
  assert.equal(four.ca, 'CA')
  assert.equal(await four.authorization(), 'Bearer secret')
  const six = await podAccess({ KUBERNETES_SERVICE_HOST: 'fd00::1' }, path)
  assert.equal(six.server, 'https://[fd00::1]:443')
  await assert.rejects(podAccess({}, path), /KUBERNETES_SERVICE_HOST/)
})

test('a kubeconfig gives address, certificates and token of its context', async (t) => {
  const path = join(await folder(t), 'config')
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'one',
    clusters: [
      { name: 'c', cluster: { server: 'https://one:6443', 'certificate-authority-data': btoa('CA') } },
      { name: 'd', cluster: { server: 'https://two:6443', 'insecure-skip-tls-verify': true } },
    ],
    users: [
      { name: 'u', user: { token: 'tok' } },
      { name: 'v', user: { 'client-certificate-data': btoa('CERT'), 'client-key-data': btoa('KEY') } },
    ],
    contexts: [
      { name: 'one', context: { cluster: 'c', user: 'u' } },
      { name: 'two', context: { cluster: 'd', user: 'v' } },
    ],
  }
  await writeFile(path, JSON.stringify(config))
  const one = await kubeconfigAccess({ path })
  assert.deepEqual([one.server, one.ca, await one.authorization()], ['https://one:6443', 'CA', 'Bearer tok'])
  const two = await kubeconfigAccess({ path, context: 'two' })
  assert.deepEqual([two.server, two.cert, two.key, two.insecure], ['https://two:6443', 'CERT', 'KEY', true])
  assert.equal(await two.authorization(), undefined)
  await assert.rejects(kubeconfigAccess({ path, context: 'nowhere' }), /nowhere/)
})

test('without a pod the kubeconfig is taken', async () => {
  await assert.rejects(findAccess({ KUBERNETES_SERVICE_HOST: '10.0.0.1' }), /ca\.crt/)
})
