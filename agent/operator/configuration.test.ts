import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readSettings } from './configuration.ts'

const least = { POD_NAMESPACE: 'toolhive-system', WAGGLE_IMAGE: 'agent:1' }

test('what is not set has its default, and an empty variable is not set', () => {
  const settings = readSettings({ ...least, WATCH_NAMESPACE: '', WAGGLE_CLUSTER: ' ' })
  assert.equal(settings.namespaces, undefined)
  assert.equal(settings.cluster, 'in-cluster')
  assert.equal(settings.virtualImage, 'agent:1')
  assert.equal(settings.networkPolicies, true)
  assert.equal(settings.takeOver, false)
})

test('lists are comma-separated and name nothing twice', () => {
  const settings = readSettings({ ...least, WATCH_NAMESPACE: 'a, b,a', WAGGLE_POD_TEMPLATE_ALLOW: 'hostPath' })
  assert.deepEqual(settings.namespaces, ['a', 'b'])
  assert.deepEqual([...settings.podTemplateAllow], ['hostPath'])
})

const wrong: readonly [string, Record<string, string>][] = [
  ['POD_NAMESPACE', { POD_NAMESPACE: '' }],
  ['WAGGLE_IMAGE', { WAGGLE_IMAGE: '' }],
  ['WAGGLE_TAKE_OVER', { WAGGLE_TAKE_OVER: 'yes' }],
  ['WAGGLE_IMAGE_PULL_POLICY', { WAGGLE_IMAGE_PULL_POLICY: 'Sometimes' }],
  ['WAGGLE_DEFAULT_OIDC_CONFIG', { WAGGLE_DEFAULT_OIDC_CONFIG: 'login' }],
  ['WAGGLE_DEFAULT_REDIS_ADDRESS', { WAGGLE_DEFAULT_REDIS_ADDRESS: 'redis' }],
  ['WAGGLE_EDGE_URL', { WAGGLE_EDGE_URL: 'http://edge.example' }],
  ['WAGGLE_EDGE_URL', { WAGGLE_EDGE_URL: 'https://edge.example/' }],
  ['WAGGLE_POD_TEMPLATE_ALLOW', { WAGGLE_POD_TEMPLATE_ALLOW: 'everything' }],
]
for (const [variable, environment] of wrong) {
  test(`a wrong ${variable} (${Object.values(environment).join()}) is refused by its name`, () => {
    assert.throws(() => readSettings({ ...least, ...environment }), new RegExp(`^Error: ${variable}: `))
  })
}
