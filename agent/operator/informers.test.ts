import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KubeClient } from '../kube/client.ts'
import type { KubeObject } from '../kube/object.ts'
import { makeInformers } from './informers.ts'
import { settings } from './kinds/scene.ts'

const client = new KubeClient({ server: 'http://127.0.0.1:1', authorization: () => Promise.resolve(undefined) })
const { objects } = makeInformers(client, settings, { reads: () => false })

function deployment(annotations?: Record<string, string>): KubeObject {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: {
      name: 'a',
      namespace: 'n',
      uid: 'u',
      generation: 1,
      labels: { toolhive: 'true' },
      ...(annotations !== undefined && { annotations }),
      managedFields: [{ manager: 'waggle' }],
    },
  }
}

test('what a controller notes on its object is no edit, and what somebody else writes there is', () => {
  const kept = (annotations?: Record<string, string>) => objects.get('Deployment')?.reduce(deployment(annotations))
  const mine = kept()
  assert.ok(mine !== undefined && !('managedFields' in mine.metadata))
  assert.deepEqual(kept({ 'deployment.kubernetes.io/revision': '1' }), mine)
  assert.deepEqual(kept({ note: 'x', 'deployment.kubernetes.io/revision': '1' })?.metadata.annotations, { note: 'x' })
})
