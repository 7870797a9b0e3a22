import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KubeObject } from '../../kube/object.ts'
import { plans, proxy, runConfig, running, server, specOf } from './grafana-scene.ts'
import { configMap, message, NAMESPACE, objectOf, verdicts, type Manifest } from './scene.ts'

const oidc: Manifest = {
  kind: 'MCPOIDCConfig',
  name: 'login',
  spec: { type: 'inline', inline: { issuer: 'https://idp.example.com' } },
}

test('the proxy may read its own ConfigMap and nothing else, the server nothing at all', () => {
  const plan = plans()
  assert.deepEqual(objectOf(plan, 'Role', 'grafana-proxy-runner')['rules'], [
    {
      apiGroups: [''],
      resources: ['configmaps'],
      resourceNames: ['grafana-runconfig'],
      verbs: ['get', 'list', 'watch'],
    },
  ])
  assert.equal(server(plan).spec['automountServiceAccountToken'], false)
  assert.equal(objectOf(plan, 'ServiceAccount', 'grafana-sa')['automountServiceAccountToken'], false)
})

test('the server hears only its proxy, and an anonymous proxy only its namespace', () => {
  const plan = plans()
  const policy = (name: string): Record<string, unknown[]> =>
    specOf(objectOf(plan, 'NetworkPolicy', name)) as Record<string, unknown[]>
  const labels = objectOf(plan, 'Deployment', 'grafana')
  assert.deepEqual(policy('grafana-server')['ingress'], [
    { from: [{ podSelector: specOf(labels)['selector'] }], ports: [{ port: 8000, protocol: 'TCP' }] },
  ])
  assert.deepEqual(policy('grafana-proxy')['ingress']?.[0], {
    from: [{ podSelector: {} }],
    ports: [{ port: 8080, protocol: 'TCP' }],
  })
  assert.equal(verdicts(plan)['AuthConfigured'], 'False Anonymous')
  const egress = JSON.stringify(policy('grafana-server')['egress'])
  assert.match(egress, /169\.254\.169\.254\/32/)
  assert.ok(!plans({}, { settings: { networkPolicies: false } }).objects.some(({ kind }) => kind === 'NetworkPolicy'))
})

test('with an issuer the proxy is reachable from everywhere, for callers it knows', () => {
  const plan = plans({ oidcConfigRef: { name: 'login', audience: 'grafana' } }, { others: [oidc], objects: running })
  const [public_] = specOf(objectOf(plan, 'NetworkPolicy', 'grafana-proxy'))['ingress'] as { from?: unknown }[]
  assert.equal(public_?.from, undefined)
  assert.equal(runConfig(plan).endpoint.guard.audience, 'grafana')
  assert.deepEqual(
    runConfig(plan).endpoint.guard.issuers?.map(({ issuer }) => issuer),
    ['https://idp.example.com'],
  )
  assert.equal(verdicts(plan)['Ready'], 'True Running')
  assert.match(String(plan.status['oidcConfigHash']), /^\w+$/)
})

test('an issuer that is not there admits nobody, and heals when it comes', () => {
  const plan = plans({ oidcConfigRef: { name: 'login', audience: 'grafana' } }, { objects: running })
  assert.deepEqual(runConfig(plan).endpoint.guard.issuers, [])
  assert.equal(verdicts(plan)['Ready'], 'False OIDCConfigRefNotFound')
  assert.equal(verdicts(plan)['Stalled'], undefined, 'it may still come')
  assert.equal(plan.status['phase'], 'Pending')
})

test('a default issuer whose Secret is in another namespace is believed, and what will fail for want of it is said', () => {
  const shared: Manifest = {
    kind: 'MCPOIDCConfig',
    name: 'company',
    namespace: 'toolhive-system',
    spec: {
      type: 'inline',
      inline: {
        issuer: 'https://idp.example.com',
        introspectionUrl: 'https://idp.example.com/introspect',
        clientId: 'proxy',
        clientSecretRef: { name: 'client', key: 'secret' },
      },
    },
  }
  const settings = { defaultOidcConfig: { namespace: 'toolhive-system', name: 'company', audience: undefined } }
  const plan = plans({}, { others: [shared], settings, objects: running })
  assert.equal(verdicts(plan)['SecretsMounted'], 'False SecretInOtherNamespace')
  assert.match(message(plan, 'SecretsMounted'), /toolhive-system\/client/)
  assert.equal(verdicts(plan)['AuthConfigured'], 'True AuthConfigured')
  assert.equal(verdicts(plan)['Ready'], 'True Running', 'signed tokens need no Secret')
  const own = plans(
    { oidcConfigRef: { name: 'company', audience: 'a' } },
    { others: [{ ...shared, namespace: NAMESPACE }] },
  )
  assert.equal(verdicts(own)['SecretsMounted'], undefined)
  assert.match(JSON.stringify(proxy(own)), /"client\/secret"/)
})

test('where authentication is required, a server without is refused', () => {
  const plan = plans({}, { settings: { requireAuthentication: true }, objects: running })
  assert.deepEqual(runConfig(plan).endpoint.guard.issuers, [])
  assert.equal(verdicts(plan)['Stalled'], 'True AuthenticationRequired')
})

test('a permission profile decides where the server may connect to', () => {
  const egress = (profile: object, objects: readonly KubeObject[] = []): unknown[] => {
    const plan = plans({ permissionProfile: profile }, { objects })
    return specOf(objectOf(plan, 'NetworkPolicy', 'grafana-server'))['egress'] as unknown[]
  }
  assert.deepEqual(egress({ type: 'builtin', name: 'none' }), [])
  assert.equal(egress({ type: 'builtin', name: 'network' }).length, 1)
  const profile = configMap('profile', { 'p.json': '{"network":{"outbound":{"allow_port":[5432]}}}' })
  assert.match(JSON.stringify(egress({ type: 'configmap', name: 'profile' }, [profile])), /5432/)
  assert.deepEqual(egress({ type: 'configmap', name: 'absent' }), [])
  const broken = plans({ permissionProfile: { type: 'configmap', name: 'absent' } })
  assert.equal(verdicts(broken)['PermissionProfileApplied'], 'False ProfileNotFound')
})
