// Namespace mode, with the values of the article as printed: rights in the namespaces of the list and none beside, and servers elsewhere are not
// looked at.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import { call } from './bed/api.ts'
import { until } from './bed/shell.ts'
import { readyPod } from './pods.ts'
import { examples, installCrds, installOperator, OPERATOR, SYSTEM } from './release.ts'
import { allowed, rightsOf, sorted, tokenOf } from './rights.ts'
import { sharedCluster } from './shared.ts'

const api = (namespace: string): string => `/apis/toolhive.stacklok.dev/v1beta1/namespaces/${namespace}`
const listed = ['platform-tools', 'team-frontend', 'team-backend', 'production']

const shared = await sharedCluster()
const { cluster } = shared

before(async () => {
  for (const name of [...listed, 'elsewhere']) await shared.namespace(name)
})
after(() => {
  shared.kubectl(['delete', 'namespace', ...listed, 'elsewhere', '--wait=false'])
})

test('in namespace mode there is no cluster-wide right, and other namespaces are not looked at', async () => {
  const values = parse(readFileSync(join(examples, 'seed/namespace-mode.values.yaml'), 'utf8')) as object
  installCrds(shared)
  await installOperator(shared, values)
  const manifest = shared.kubectl(['get', 'clusterrolebindings,clusterroles', '-o', 'name'])
  assert.doesNotMatch(manifest, new RegExp(`${OPERATOR}|waggle-agent`))
  // What everybody may do, whoever they are.
  const common = await rightsOf(cluster, await tokenOf(cluster, 'elsewhere', 'default'), 'elsewhere')
  const pod = await readyPod(cluster, SYSTEM, 'app.kubernetes.io/component=operator')
  const token = await tokenOf(cluster, SYSTEM, pod.spec?.serviceAccountName ?? '')
  assert.deepEqual(await rightsOf(cluster, token, 'team-backend', common), sorted(allowed.operator.managed))
  for (const name of ['elsewhere', 'default']) assert.deepEqual(await rightsOf(cluster, token, name, common), {})
  const spec = { image: 'grafana/mcp-grafana:latest', transport: 'streamable-http', mcpPort: 8000 }
  for (const namespace of ['elsewhere', 'team-backend']) {
    const metadata = { name: 'grafana', namespace }
    const body = { apiVersion: 'toolhive.stacklok.dev/v1beta1', kind: 'MCPServer', metadata, spec }
    await call(cluster, 'POST', `${api(namespace)}/mcpservers`, body)
  }
  await readyPod(cluster, 'team-backend', 'toolhive-name=grafana,waggle.dev/role=proxy')
  const ignored = await call<object>(cluster, 'GET', `${api('elsewhere')}/mcpservers/grafana`)
  assert.ok(!('status' in ignored), 'nothing happens')
  const shows = async (): Promise<boolean> =>
    shared.kubectl(['-n', 'elsewhere', 'get', 'deployments', '-o', 'name']) === ''
  assert.ok(await until('no Deployment elsewhere', shows, 1))
})
