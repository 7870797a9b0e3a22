import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Planner } from '../kind.ts'
import { authzConfig } from './mcp-authz-config.ts'
import { externalAuthConfig } from './mcp-external-auth-config.ts'
import { oidcConfig } from './mcp-oidc-config.ts'
import { telemetryConfig } from './mcp-telemetry-config.ts'
import { toolConfig } from './mcp-tool-config.ts'
import { webhookConfig } from './mcp-webhook-config.ts'
import { configMap, message, planned, statusOf, verdicts, type Manifest } from './scene.ts'

const oidc = (spec: object, more: Partial<Manifest> = {}): Manifest => ({
  kind: 'MCPOIDCConfig',
  name: 'login',
  spec,
  ...more,
})
const inline = (more: object = {}): object => ({ type: 'inline', inline: { issuer: 'https://login.example', ...more } })
const auth = (spec: object): Manifest => ({ kind: 'MCPExternalAuthConfig', name: 'vendor', spec })
const tools = (spec: object): Manifest => ({ kind: 'MCPToolConfig', name: 'tools', spec })
const telemetry = (spec: object): Manifest => ({ kind: 'MCPTelemetryConfig', name: 'otel', spec })
const secret = { name: 'vendor-token', key: 'token' }
const bundle = { caBundleRef: { configMapRef: { name: 'ca', key: 'ca.crt' } } }
const pem = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n'

const cases: readonly {
  readonly name: string
  readonly planner: Planner
  readonly manifest: Manifest
  readonly maps?: Record<string, string>
  readonly valid: string
  readonly says: RegExp
}[] = [
  {
    name: 'an inline issuer',
    planner: oidcConfig,
    manifest: oidc(inline()),
    valid: 'True ConfigValid',
    says: /https:\/\/login\.example/,
  },
  {
    name: 'an inline issuer whose certificates are there',
    planner: oidcConfig,
    manifest: oidc(inline(bundle)),
    maps: { 'ca.crt': pem },
    valid: 'True ConfigValid',
    says: /login/,
  },
  {
    name: 'an inline issuer whose certificates are under another key',
    planner: oidcConfig,
    manifest: oidc(inline(bundle)),
    maps: { other: pem },
    valid: 'False ConfigInvalid',
    says: /spec\.inline\.caBundleRef: the ConfigMap platform-tools\/ca has no key "ca\.crt"/,
  },
  {
    name: 'an inline issuer whose certificates are under a key that every object has',
    planner: oidcConfig,
    manifest: oidc(inline({ caBundleRef: { configMapRef: { name: 'ca', key: 'constructor' } } })),
    maps: { 'ca.crt': pem },
    valid: 'False ConfigInvalid',
    says: /has no key "constructor"/,
  },
  {
    name: 'an inline issuer whose certificates are none',
    planner: oidcConfig,
    manifest: oidc(inline(bundle)),
    maps: { 'ca.crt': 'hello' },
    valid: 'False ConfigInvalid',
    says: /holds no PEM certificate/,
  },
  {
    name: 'an inline issuer without the ConfigMap of its certificates',
    planner: oidcConfig,
    manifest: oidc(inline(bundle)),
    valid: 'False ConfigInvalid',
    says: /the ConfigMap platform-tools\/ca does not exist/,
  },
  {
    name: 'an inline issuer whose keys are behind a token in a file',
    planner: oidcConfig,
    manifest: oidc(inline({ jwksAuthTokenPath: '/var/run/token' })),
    valid: 'True ConfigValid',
    says: /jwksAuthTokenPath is not used/,
  },
  {
    name: 'an inline issuer whose certificates may be missing',
    planner: oidcConfig,
    manifest: oidc(inline({ caBundleRef: { configMapRef: { ...bundle.caBundleRef.configMapRef, optional: true } } })),
    valid: 'True ConfigValid',
    says: /login/,
  },
  {
    name: "the cluster's own service accounts",
    planner: oidcConfig,
    manifest: oidc({ type: 'kubernetesServiceAccount', kubernetesServiceAccount: {} }),
    valid: 'True ConfigValid',
    says: /every service account of this cluster$/,
  },
  {
    name: 'one service account, of the same namespace when none is said',
    planner: oidcConfig,
    manifest: oidc({ type: 'kubernetesServiceAccount', kubernetesServiceAccount: { serviceAccount: 'bot' } }),
    valid: 'True ConfigValid',
    says: /the service account platform-tools\/bot /,
  },
  {
    name: 'a bearer token',
    planner: externalAuthConfig,
    manifest: auth({ type: 'bearerToken', bearerToken: { tokenSecretRef: secret } }),
    valid: 'True ConfigValid',
    says: /vendor-token/,
  },
  {
    name: 'a header from a Secret',
    planner: externalAuthConfig,
    manifest: auth({ type: 'headerInjection', headerInjection: { headerName: 'X-Api-Key', valueSecretRef: secret } }),
    valid: 'True ConfigValid',
    says: /X-Api-Key/,
  },
  {
    name: 'no authentication',
    planner: externalAuthConfig,
    manifest: auth({ type: 'unauthenticated' }),
    valid: 'True ConfigValid',
    says: /without a credential/,
  },
  {
    name: 'a token exchange',
    planner: externalAuthConfig,
    manifest: auth({ type: 'tokenExchange', tokenExchange: { tokenUrl: 'https://sts.example', audience: 'x' } }),
    valid: 'False NotSupported',
    says: /tokenExchange is not available.*not called/,
  },
  {
    name: 'tools that are renamed and described',
    planner: toolConfig,
    manifest: tools({ toolsFilter: ['find'], toolsOverride: { search: { name: 'find', description: 'Finds.' } } }),
    valid: 'True ConfigValid',
    says: /1/,
  },
  {
    name: 'a filter that names a tool as it was called before',
    planner: toolConfig,
    manifest: tools({ toolsFilter: ['search'], toolsOverride: { search: { name: 'find' } } }),
    valid: 'True ConfigValid',
    says: /names "search", which spec\.toolsOverride renames/,
  },
  {
    name: 'two tools under one name',
    planner: toolConfig,
    manifest: tools({ toolsOverride: { a: { name: 'c' }, b: { name: 'c' } } }),
    valid: 'False ConfigInvalid',
    says: /toolsOverride\["b"\]\.name is that of "a" too/,
  },
  {
    name: 'a Cedar policy',
    planner: authzConfig,
    manifest: { kind: 'MCPAuthzConfig', name: 'policy', spec: { type: 'cedarv1', config: { policies: [] } } },
    valid: 'False NotSupported',
    says: /cedarv1 are not evaluated .* refuse every caller/,
  },
  {
    name: 'a webhook',
    planner: webhookConfig,
    manifest: {
      kind: 'MCPWebhookConfig',
      name: 'hooks',
      spec: { validating: [{ name: 'check', url: 'https://check.example' }] },
    },
    valid: 'False NotSupported',
    says: /0 mutating, 1 validating.*refuse every caller/,
  },
  {
    name: 'metrics for Prometheus',
    planner: telemetryConfig,
    manifest: telemetry({ prometheus: { enabled: true } }),
    valid: 'True ConfigValid',
    says: /port 9464/,
  },
  {
    name: 'OpenTelemetry, which is not sent',
    planner: telemetryConfig,
    manifest: telemetry({ openTelemetry: { enabled: true, endpoint: 'otel:4318' } }),
    valid: 'True ConfigValid',
    says: /not sent to otel:4318/,
  },
  {
    name: 'OpenTelemetry to nowhere',
    planner: telemetryConfig,
    manifest: telemetry({ openTelemetry: { enabled: true } }),
    valid: 'False ConfigInvalid',
    says: /endpoint is required/,
  },
  {
    name: 'OpenTelemetry with a header that is given twice',
    planner: telemetryConfig,
    manifest: telemetry({
      openTelemetry: {
        enabled: true,
        endpoint: 'otel:4318',
        headers: { 'X-Key': 'a' },
        sensitiveHeaders: [{ name: 'x-key', secretKeyRef: secret }],
      },
    }),
    valid: 'False ConfigInvalid',
    says: /x-key is in headers too/,
  },
  {
    name: 'a replacement that replaces nothing',
    planner: toolConfig,
    manifest: tools({ toolsOverride: { a: {} } }),
    valid: 'False ConfigInvalid',
    says: /replaces nothing/,
  },
]

for (const { name, planner, manifest, maps, valid, says } of cases) {
  test(`${manifest.kind}: ${name} is ${valid.startsWith('True') ? 'valid' : 'not valid, and says why'}`, () => {
    const objects = maps === undefined ? [] : [configMap('ca', maps)]
    const plan = planned(planner, { manifests: [manifest], objects })
    const seen = verdicts(plan)
    assert.equal(seen['Valid'], valid)
    assert.match(message(plan, 'Valid'), says)
    assert.equal(seen['Ready']?.split(' ')[0], valid.split(' ')[0])
    assert.equal(seen['Stalled'], valid.startsWith('True') ? undefined : `True ${seen['Ready']?.split(' ')[1] ?? ''}`)
  })
}

const user: Manifest = {
  kind: 'MCPRemoteProxy',
  name: 'linear',
  spec: { remoteUrl: 'https://mcp.linear.app/mcp', oidcConfigRef: { name: 'login', audience: 'linear' } },
}
const finalizer = 'mcpoidcconfig.toolhive.stacklok.dev/finalizer'

test('a configuration stays while a workload names it, and says who', () => {
  const login = oidc(inline(), { deleting: true, finalizers: [finalizer] })
  const plan = planned(oidcConfig, { manifests: [login, user] })
  assert.deepEqual(plan.finalizers, [finalizer])
  assert.equal(verdicts(plan)['DeletionBlocked'], 'True ReferencedByWorkloads')
  assert.match(message(plan, 'DeletionBlocked'), /MCPRemoteProxy linear/)
  assert.equal(plan.againMs, 30_000)
  assert.deepEqual(
    plan.events.map(({ reason }) => reason),
    ['DeletionBlocked'],
  )
})

test('a configuration goes when nobody names it, or only what is going too', () => {
  const login = oidc(inline(), { deleting: true, finalizers: [finalizer] })
  for (const manifests of [[login], [login, { ...user, deleting: true }]]) {
    const plan = planned(oidcConfig, { manifests })
    assert.deepEqual(plan.finalizers, [])
    assert.equal(verdicts(plan)['DeletionBlocked'], undefined)
  }
})

test('a configuration in use is not blocked before anybody deletes it', () => {
  const plan = planned(oidcConfig, { manifests: [oidc(inline()), user] })
  assert.deepEqual(plan.finalizers, [finalizer])
  assert.equal(verdicts(plan)['DeletionBlocked'], undefined)
  assert.equal(plan.againMs, undefined)
})

test('the hash of a configuration follows what it says, not how it is written', () => {
  const hash = (spec: object): unknown => planned(oidcConfig, { manifests: [oidc(spec)] }).status['configHash']
  const one = hash({ type: 'inline', inline: { issuer: 'https://a.example', clientId: 'x' } })
  const same = hash({ inline: { clientId: 'x', issuer: 'https://a.example' }, type: 'inline' })
  const other = hash({ type: 'inline', inline: { issuer: 'https://b.example', clientId: 'x' } })
  assert.match(String(one), /^[0-9a-f]{8}$/)
  assert.equal(one, same)
  assert.notEqual(one, other)
})

test('a blocked deletion is an event when it begins, and silent while it lasts', () => {
  const login = oidc(inline(), { deleting: true, finalizers: [finalizer] })
  const first = planned(oidcConfig, { manifests: [login, user] })
  const again = planned(oidcConfig, { manifests: [{ ...login, status: statusOf(first) }, user] })
  assert.deepEqual(again.events, [])
})
