// Tokens that a real API server signs, shown to a real edge: the uplink's own lets it in, and no other does. The admin adds the cluster
// by the kubeconfig, as anybody would.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Identity } from '../../agent/uplink/identity.ts'
import { Sessions } from '../../agent/uplink/session.ts'
import { terminal } from '../../cli/scripted-edge.ts'
import { startEdge, type TestEdge } from '../edge.ts'
import { Knocker, upgrade } from '../link/knock.ts'
import { call } from './bed/api.ts'
import { down, serve } from './bed/cluster.ts'
import { cluster as letter } from './bed/plan.ts'
import { tools } from './bed/tools.ts'

const [HOME, AWAY] = ['join', 'join-away'] as const

/** An API server alone: tokens are all that is wanted of it. */
const cluster = letter('j')
let edge: TestEdge
/** Uids by `namespace/name`. */
const pods = new Map<string, string>()

before(async () => {
  await serve(cluster, await tools())
  edge = await startEdge()
  for (const namespace of [HOME, AWAY]) {
    await call(cluster, 'POST', '/api/v1/namespaces', { metadata: { name: namespace } })
    for (const account of ['uplink', 'stranger']) {
      await make(namespace, 'serviceaccounts', { metadata: { name: account } })
      // It runs nowhere: a token needs a pod that exists, and no more.
      const spec = { serviceAccountName: account, schedulerName: 'nobody', containers: [{ name: 'c', image: 'none' }] }
      const { metadata } = await make(namespace, 'pods', { metadata: { name: account }, spec })
      pods.set(`${namespace}/${account}`, metadata.uid)
    }
  }
})
after(async () => {
  await edge?.close()
  await down(cluster)
})

const make = (namespace: string, plural: string, object: object): Promise<{ metadata: { uid: string } }> =>
  call(cluster, 'POST', `/api/v1/namespaces/${namespace}/${plural}`, object)

interface Wanted {
  readonly namespace?: string
  readonly account?: string
  readonly audiences?: readonly string[]
  /** Default: the account's own. */
  readonly pod?: 'none'
}

async function token({ namespace = HOME, account = 'uplink', audiences, pod }: Wanted = {}): Promise<string> {
  const uid = pods.get(`${namespace}/${account}`)
  const spec = {
    audiences: audiences ?? [`${edge.url}/clusters/bed`],
    expirationSeconds: 600,
    ...(pod === undefined && { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: account, uid } }),
  }
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`
  const { status } = await call<{ status: { token: string } }>(cluster, 'POST', path, { spec })
  return status.token
}

const replica = (): string => pods.get(`${HOME}/uplink`) ?? ''

test('a cluster that was added by its kubeconfig gets in by the token of its uplink', async (t) => {
  const shell = await terminal(t, {
    WAGGLE_EDGE: edge.url,
    WAGGLE_TOKEN: await edge.adminToken(),
    KUBECONFIG: join(cluster.dir, 'kubeconfig'),
  })
  const subject = `system:serviceaccount:${HOME}:uplink`
  const code = await shell.run(['cluster', 'add', 'bed', '--from-kubeconfig', '--subject', subject])
  assert.equal(code, 0, shell.err.join('\n'))
  const host = { edge: edge.url, cluster: 'bed', replica: replica(), accountToken: () => token(), fetch, now: Date.now }
  const sessions = new Sessions(host, await Identity.generate())
  const { url, headers } = await sessions.connection(AbortSignal.timeout(30_000))
  assert.equal((await upgrade({ url, headers, body: undefined })).status, 101)
})

const wrong: readonly [name: string, wanted: () => Wanted, reason: string][] = [
  ['another ServiceAccount', () => ({ account: 'stranger' }), 'wrong_subject'],
  ['the same name in another namespace', () => ({ namespace: AWAY }), 'wrong_subject'],
  ['the API server', () => ({ audiences: ['https://kubernetes.default.svc.cluster.local'] }), 'wrong_audience'],
  ['another cluster', () => ({ audiences: [`${edge.url}/clusters/other`] }), 'wrong_audience'],
  ['another edge', () => ({ audiences: ['https://other.example.com/clusters/bed'] }), 'wrong_audience'],
  [
    'several audiences',
    () => ({ audiences: [`${edge.url}/clusters/bed`, `${edge.url}/clusters/other`] }),
    'wrong_audience',
  ],
  ['no pod', () => ({ pod: 'none' }), 'wrong_subject'],
]
for (const [name, wanted, reason] of wrong) {
  test(`a token for ${name} gets nobody in, and the audit trail says so`, async () => {
    const who = await Identity.generate()
    const reply = await new Knocker(edge.url, 'bed').session(who, await token(wanted()), undefined, replica())
    assert.equal(reply.reason, reason)
    const event = await edge.audited((one) => JSON.stringify(one).includes(who.thumbprint))
    assert.equal(event.outcome, 'denied')
  })
}
