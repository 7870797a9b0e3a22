import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Settings } from '../settings.ts'
import { serverEntry } from './mcp-server-entry.ts'
import { configMap, message, planned, verdicts, type Manifest } from './scene.ts'

const entry = (spec: object): Manifest => ({
  kind: 'MCPServerEntry',
  name: 'docs',
  spec: { remoteUrl: 'https://mcp.example/mcp', transport: 'streamable-http', ...spec },
})
const caBundleRef = { configMapRef: { name: 'ca', key: 'ca.crt' } }
const secret = { name: 'docs-token', key: 'token' }

const cases: readonly {
  readonly name: string
  readonly spec: object
  readonly others?: readonly Manifest[]
  readonly maps?: Record<string, string>
  readonly settings?: Partial<Settings>
  readonly phase: 'Valid' | 'Pending' | 'Failed'
  readonly verdict?: readonly [type: string, verdict: string, says: RegExp]
}[] = [
  { name: 'a public address', spec: {}, phase: 'Valid' },
  {
    name: 'a group that is not there, which stops nobody',
    spec: { groupRef: { name: 'fleet' } },
    phase: 'Valid',
    verdict: ['GroupRefValidated', 'False GroupRefNotFound', /there is no MCPGroup platform-tools\/fleet/],
  },
  {
    name: 'a group that is there',
    spec: { groupRef: { name: 'fleet' } },
    others: [{ kind: 'MCPGroup', name: 'fleet' }],
    phase: 'Valid',
    verdict: ['GroupRefValidated', 'True GroupRefIsValid', /fleet/],
  },
  {
    name: 'a private address',
    spec: { remoteUrl: 'http://10.1.2.3/mcp' },
    phase: 'Failed',
    verdict: ['RemoteURLValidated', 'False RemoteURLInvalid', /allowPrivateEndpoint/],
  },
  {
    name: 'a private address that is meant',
    spec: { remoteUrl: 'http://10.1.2.3/mcp', allowPrivateEndpoint: true },
    phase: 'Valid',
    verdict: ['RemoteURLValidated', 'True RemoteURLValid', /may be called/],
  },
  {
    name: "a private address in the admin's list",
    spec: { remoteUrl: 'https://mcp.corp.internal/mcp' },
    settings: { egressAllow: ['*.corp.internal'] },
    phase: 'Valid',
  },
  {
    name: 'a loopback address',
    spec: { remoteUrl: 'http://127.0.0.1:9000', allowPrivateEndpoint: true },
    phase: 'Failed',
    verdict: ['RemoteURLValidated', 'False RemoteURLInvalid', /loopback/],
  },
  {
    name: "the clouds' metadata, whatever anybody allows",
    spec: { remoteUrl: 'http://169.254.169.254/latest', allowPrivateEndpoint: true },
    settings: { egressAllow: ['169.254.0.0/16'] },
    phase: 'Failed',
    verdict: ['RemoteURLValidated', 'False RemoteURLInvalid', /never called/],
  },
  {
    name: 'the API server',
    spec: { remoteUrl: 'https://kubernetes.default.svc', allowPrivateEndpoint: true },
    phase: 'Failed',
    verdict: ['RemoteURLValidated', 'False RemoteURLInvalid', /API server/],
  },
  {
    name: 'certificates that are not there yet',
    spec: { caBundleRef },
    phase: 'Pending',
    verdict: ['CABundleRefValidated', 'False CABundleRefNotFound', /ca does not exist/],
  },
  {
    name: 'certificates that are there',
    spec: { caBundleRef },
    maps: { 'ca.crt': '-----BEGIN CERTIFICATE-----' },
    phase: 'Valid',
    verdict: ['CABundleRefValidated', 'True CABundleRefValid', /there/],
  },
  {
    name: 'credentials that are not there yet',
    spec: { externalAuthConfigRef: { name: 'vendor' } },
    phase: 'Pending',
    verdict: ['ExternalAuthConfigValidated', 'False ExternalAuthConfigRefNotFound', /vendor/],
  },
  {
    name: 'credentials of a kind that cannot be done',
    spec: { externalAuthConfigRef: { name: 'vendor' } },
    others: [
      {
        kind: 'MCPExternalAuthConfig',
        name: 'vendor',
        spec: { type: 'tokenExchange', tokenExchange: { tokenUrl: 'https://sts.example', audience: 'x' } },
      },
    ],
    phase: 'Failed',
    verdict: ['ExternalAuthConfigValidated', 'False ExternalAuthConfigRefNotValid', /tokenExchange is not available/],
  },
  {
    name: 'headers from Secrets, which the operator cannot read',
    spec: { headerForward: { addHeadersFromSecret: [{ headerName: 'X-Key', valueSecretRef: secret }] } },
    phase: 'Valid',
    verdict: ['HeaderSecretRefsValidated', 'True HeaderSecretRefsNotRead', /docs-token.*no right to read Secrets/],
  },
]

for (const { name, spec, others = [], maps, settings = {}, phase, verdict } of cases) {
  test(`an entry with ${name} is ${phase}`, () => {
    const objects = maps === undefined ? [] : [configMap('ca', maps)]
    const plan = planned(serverEntry, { manifests: [entry(spec), ...others], objects, settings })
    assert.equal(plan.status['phase'], phase)
    const seen = verdicts(plan)
    assert.equal(seen['Valid']?.split(' ')[0], phase === 'Valid' ? 'True' : 'False')
    assert.equal(seen['Stalled']?.split(' ')[0], phase === 'Failed' ? 'True' : undefined)
    assert.deepEqual(plan.objects, [])
    if (verdict === undefined) return
    const [type, expected, says] = verdict
    assert.equal(seen[type], expected)
    assert.match(message(plan, type), says)
  })
}
