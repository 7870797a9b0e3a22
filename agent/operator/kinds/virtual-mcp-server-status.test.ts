import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fleet, keys, plans, remote, running, server, stalled, starting, type Case } from './fleet-scene.ts'
import { message, NAMESPACE, verdicts } from './scene.ts'

const authServerConfig = {
  issuer: 'https://as.example',
  upstreamProviders: [
    { name: 'corp', type: 'oidc', oidcConfig: { issuerUrl: 'https://login.example', clientId: 'waggle' } },
  ],
}
const team = { namespace: 'team-a' }
const cases: readonly (Case & {
  readonly name: string
  readonly phase: string
  readonly ready: string
  readonly stalled?: true
  readonly verdict?: readonly [type: string, verdict: string, says: RegExp]
})[] = [
  { name: 'its pods start', objects: [keys], phase: 'Pending', ready: 'False Starting' },
  {
    name: 'its servers start',
    others: [server('grafana', starting), server('github', {}), remote('linear', starting)],
    phase: 'Pending',
    ready: 'False BackendsUnavailable',
  },
  {
    name: 'all of its servers need somebody',
    others: [server('grafana', stalled), server('github', stalled), remote('linear', stalled)],
    phase: 'Failed',
    ready: 'False BackendsUnavailable',
    stalled: true,
  },
  {
    name: 'one of its servers is away',
    others: [server('grafana'), server('github', starting), remote('linear')],
    phase: 'Degraded',
    ready: 'True BackendsDegraded',
    verdict: ['Ready', 'True BackendsDegraded', /2 of 3 servers are ready; not ready: github \(Starting\)/],
  },
  {
    name: 'one of its servers does not exist',
    others: [server('grafana'), remote('linear')],
    phase: 'Degraded',
    ready: 'True BackendsDegraded',
    verdict: ['BackendsDiscovered', 'False BackendsNotFound', /is named platform-tools\/github/],
  },
  {
    name: 'it has no servers',
    spec: { backends: [] },
    phase: 'Pending',
    ready: 'False BackendsUnavailable',
    verdict: ['BackendsDiscovered', 'False NoBackends', /spec\.backends/],
  },
  {
    name: 'the owner of a server elsewhere has not agreed',
    spec: { backends: [{ name: 'grafana' }, { name: 'secret', ...team }] },
    others: [server('grafana'), server('secret', running, team)],
    phase: 'Degraded',
    ready: 'True BackendsDegraded',
    verdict: ['BackendsAllowed', 'False ConsentMissing', /team-a\/secret has not agreed.*"platform-tools"/],
  },
  {
    name: 'the owner of a server elsewhere has agreed',
    spec: { backends: [{ name: 'grafana' }, { name: 'secret', ...team }] },
    others: [
      server('grafana'),
      server('secret', running, { ...team, annotations: { 'waggle.dev/allow-virtual-servers-from': NAMESPACE } }),
    ],
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['BackendsDiscovered', 'True BackendsDiscovered', /2/],
  },
  {
    name: 'everybody may call because nobody said who may',
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['AuthConfigured', 'False Anonymous', /spec\.incomingAuth\.oidcConfigRef/],
  },
  {
    name: 'everybody may call because it says so',
    spec: { incomingAuth: { type: 'anonymous' } },
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['AuthConfigured', 'True IncomingAuthValid', /anonymous/],
  },
  {
    name: 'everybody may call although the admin forbids it',
    spec: { incomingAuth: { type: 'anonymous' } },
    settings: { requireAuthentication: true },
    phase: 'Failed',
    ready: 'False IncomingAuthInvalid',
    stalled: true,
  },
  {
    name: 'users of an issuer may call',
    spec: { incomingAuth: { type: 'oidc', oidcConfigRef: { name: 'login', audience: 'mcp' } } },
    others: [
      ...fleet,
      { kind: 'MCPOIDCConfig', name: 'login', spec: { type: 'inline', inline: { issuer: 'https://login.example' } } },
    ],
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['AuthConfigured', 'True IncomingAuthValid', /login/],
  },
  {
    name: 'its issuer is not there yet',
    spec: { incomingAuth: { type: 'oidc', oidcConfigRef: { name: 'login', audience: 'mcp' } } },
    phase: 'Pending',
    ready: 'False OIDCConfigRefNotFound',
  },
  {
    name: 'its policies cannot be evaluated',
    spec: {
      incomingAuth: {
        type: 'anonymous',
        authzConfig: { type: 'inline', inline: { policies: ['permit(principal, action, resource);'] } },
      },
    },
    phase: 'Failed',
    ready: 'False AuthzConfigNotAvailable',
    stalled: true,
  },
  {
    name: 'it wants an authorization server of its own',
    spec: { authServerConfig },
    phase: 'Failed',
    ready: 'False NotSupported',
    stalled: true,
  },
  {
    name: "the settings of one server's tools are missing",
    spec: { config: { aggregation: { tools: [{ workload: 'grafana', toolConfigRef: { name: 'gone' } }] } } },
    phase: 'Degraded',
    ready: 'True BackendsDegraded',
    verdict: ['ToolConfigValidated', 'False ToolConfigRefNotFound', /gone/],
  },
  {
    name: 'it asks for what is not done yet',
    spec: {
      config: { optimizer: {}, rateLimiting: { shared: { maxTokens: 1, refillPeriod: '1s' } } },
      sessionStorage: { provider: 'redis', address: 'redis:6379' },
    },
    phase: 'Ready',
    ready: 'True Running',
    verdict: [
      'FieldsWithoutEffect',
      'True NotAvailable',
      /rateLimiting, spec\.config\.optimizer, spec\.sessionStorage/,
    ],
  },
  {
    name: 'it names a composite tool that is not there',
    spec: { config: { compositeToolRefs: [{ name: 'deploy' }] } },
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['CompositeToolRefsValidated', 'False CompositeToolRefNotFound', /deploy/],
  },
  {
    name: 'its own composite tool waits for itself',
    spec: { config: { compositeTools: [{ name: 'x', steps: [{ id: 'a', tool: 'b.c', dependsOn: ['a'] }] }] } },
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['CompositeToolRefsValidated', 'False CompositeToolRefInvalid', /compositeTools\[0\]: steps\[0\]/],
  },
  {
    name: 'its EmbeddingServer is not there',
    spec: { embeddingServerRef: { name: 'tei' } },
    phase: 'Ready',
    ready: 'True Running',
    verdict: ['EmbeddingServerReady', 'False EmbeddingServerRefNotFound', /tei/],
  },
  {
    name: 'its pods may not be made',
    spec: { podTemplateSpec: { spec: { hostNetwork: true } } },
    phase: 'Failed',
    ready: 'False InvalidPodTemplateSpec',
    stalled: true,
    verdict: ['PodTemplateSpecValid', 'False InvalidPodTemplateSpec', /hostNetwork/],
  },
]

for (const { name, phase, ready, stalled: stuck, verdict, ...one } of cases) {
  test(`a virtual server is ${phase} when ${name}`, () => {
    const plan = plans(one)
    const seen = verdicts(plan)
    assert.equal(plan.status['phase'], phase)
    assert.equal(seen['Ready'], ready)
    assert.equal(seen['Stalled'] !== undefined, stuck === true)
    if (verdict === undefined) return
    const [type, value, says] = verdict
    assert.equal(seen[type], value)
    assert.match(message(plan, type), says)
  })
}
