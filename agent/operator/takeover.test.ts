import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { test, type TestContext } from 'node:test'
import { KubeClient } from '../kube/client.ts'
import type { KubeObject } from '../kube/object.ts'
import { settings } from './kinds/scene.ts'
import { adoption, rival } from './takeover.ts'

const NOW = Date.UTC(2026, 10, 22, 12)

/** A client of an API server that has one list of Deployments and one Lease; undefined: the right is missing. */
async function client(t: TestContext, deployments?: readonly object[], lease?: object): Promise<KubeClient> {
  const server = createServer((request, response) => {
    const found = request.url?.includes('/deployments') === true ? deployments && { items: deployments } : lease
    response.writeHead(found === undefined ? 403 : 200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(found ?? { message: 'no' }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const made = new KubeClient({
    server: `http://127.0.0.1:${address.port}`,
    authorization: () => Promise.resolve(undefined),
  })
  t.after(async () => {
    await made.close()
    server.closeAllConnections()
    server.close()
  })
  return made
}

const deployment = (image: string, replicas: number): object => ({
  metadata: { name: 'toolhive-operator', namespace: 'toolhive-system' },
  spec: { replicas, template: { spec: { containers: [{ image }] } } },
  status: { replicas },
})
const theirs = 'ghcr.io/stacklok/toolhive/operator:v0.44.0'
const held = (renewTime: string, holderIdentity = 'x'): object => ({
  metadata: {},
  spec: { holderIdentity, renewTime },
})

test('a ToolHive operator that runs is a rival; one that was scaled down, or is ours by another name, is none', async (t) => {
  const asks = async (...state: Parameters<typeof client> extends [unknown, ...infer R] ? R : never) =>
    rival(await client(t, ...state), settings, NOW)
  assert.match((await asks([deployment(theirs, 1)])) ?? '', /Deployment toolhive-system\/toolhive-operator/)
  assert.equal(await asks([deployment(theirs, 0)]), undefined)
  assert.equal(await asks([deployment('ghcr.io/waggle-dev/agent:1', 1)]), undefined)
})

test('the Lease of a ToolHive operator counts while it is renewed', async (t) => {
  const asks = async (lease: object) => rival(await client(t, [], lease), settings, NOW)
  assert.match((await asks(held('2026-11-22T11:59:58.000000Z'))) ?? '', /holder of the Lease/)
  assert.equal(await asks(held('2026-11-22T10:00:00.000000Z')), undefined)
  assert.equal(await asks(held('2036-11-22T12:00:00.000000Z')), undefined, 'nobody renewed it so late')
  assert.equal(await asks(held('2026-11-22T11:59:58.000000Z', '')), undefined)
})

test('what there is no right to see does not keep the operator from starting', async (t) => {
  assert.equal(await rival(await client(t), settings, NOW), undefined)
})

test('objects of others are never taken over: only ours without an owner, and ToolHive’s when the admin says so', () => {
  const desired: KubeObject = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 's', labels: { 'toolhive-name': 'a' } },
  }
  const existing = (labels: Record<string, string>, owner?: string): KubeObject => ({
    ...desired,
    metadata: {
      name: 's',
      labels,
      ...(owner !== undefined && {
        ownerReferences: [{ apiVersion: 'apps/v1', kind: owner, name: 'o', uid: 'u', controller: true }],
      }),
    },
  })
  const ours = { 'toolhive-name': 'a', 'app.kubernetes.io/managed-by': 'waggle' }
  const toolhive = { 'toolhive-name': 'a', toolhive: 'true' }
  const [no, yes] = [adoption(settings), adoption({ ...settings, takeOver: true })]
  for (const [one, plainly, takingOver] of [
    [existing({}), false, false],
    [existing(ours), true, true],
    [existing({ ...ours, 'toolhive-name': 'b' }), false, false],
    [existing(toolhive), false, true],
    [existing(toolhive, 'StatefulSet'), false, true],
    [existing(toolhive, 'Deployment'), false, false],
    [existing(ours, 'MCPServer'), false, false],
  ] as const) {
    assert.deepEqual([no(one, desired), yes(one, desired)], [plainly, takingOver], JSON.stringify(one.metadata))
  }
})
