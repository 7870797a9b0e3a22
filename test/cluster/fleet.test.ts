// A fleet on a real cluster: groups and virtual servers in whatever order they are applied, consent across namespaces, configurations that
// stay while they are needed, and a status of every kind that others can wait for.

import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { attempt } from './attempt.ts'
import { call } from './bed/api.ts'
import { until } from './bed/shell.ts'
import { readyPod, startClient, textOf, visit } from './pods.ts'
import { installCrds, installOperator } from './release.ts'
import { sharedCluster } from './shared.ts'

const [HOME, AWAY] = ['fleet-home', 'fleet-away'] as const
const shared = await sharedCluster()
const { cluster } = shared
/** What a change of another resource brings about at once where the machine is idle. */
const SOON_S = 30

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
}
interface Seen {
  readonly metadata: { readonly generation: number; readonly finalizers?: readonly string[] }
  readonly status?: {
    readonly observedGeneration?: number
    readonly phase?: string
    readonly url?: string
    readonly conditions?: readonly Condition[]
  }
}

const toolhive = 'toolhive.stacklok.dev/v1beta1'
const manifest = (
  kind: string,
  name: string,
  spec: object,
  namespace: string = HOME,
  apiVersion = toolhive,
): object => ({
  apiVersion,
  kind,
  metadata: { name, namespace },
  spec,
})
const apply = (...manifests: readonly object[]): string =>
  shared.kubectl(['apply', '--validate=strict', '-f', '-'], manifests.map((one) => JSON.stringify(one)).join('\n---\n'))
const get = (plural: string, name: string, namespace: string = HOME, apiVersion = toolhive): Promise<Seen> =>
  call<Seen>(cluster, 'GET', `/apis/${apiVersion}/namespaces/${namespace}/${plural}/${name}`)
const verdict = ({ status }: Seen, type: string): string | undefined => {
  const found = status?.conditions?.find((one) => one.type === type)
  return found === undefined ? undefined : `${found.status} ${found.reason}`
}
/** Waits until a condition is as expected; resolves with the resource. */
const turns = (plural: string, name: string, type: string, expected: string, limitS = 180, namespace: string = HOME) =>
  until(
    `${type} of ${plural}/${name} to be ${expected}`,
    async () => {
      const seen = await get(plural, name, namespace)
      return verdict(seen, type) === expected ? seen : undefined
    },
    limitS,
  )

const osv = (name: string, more: object = {}, namespace: string = HOME): object =>
  manifest(
    'MCPServer',
    name,
    {
      image: 'ghcr.io/stackloklabs/osv-mcp/server:latest',
      transport: 'streamable-http',
      mcpPort: 8000,
      ...more,
    },
    namespace,
  )

before(async () => {
  await Promise.all([HOME, AWAY].map((name) => shared.namespace(name)))
  installCrds(shared)
  await installOperator(shared)
})

test('a group that is applied after its server and its virtual server heals both at once', async () => {
  const groupRef = { name: 'fleet' }
  apply(
    manifest('VirtualMCPServer', 'everything', { groupRef, incomingAuth: { type: 'anonymous' } }),
    osv('osv', { groupRef }),
  )
  await turns('mcpservers', 'osv', 'GroupRefValidated', 'False GroupRefNotFound')
  apply(manifest('MCPGroup', 'fleet', {}))
  await turns('mcpservers', 'osv', 'GroupRefValidated', 'True GroupRefIsValid', SOON_S)
  await turns('virtualmcpservers', 'everything', 'GroupRefValidated', 'True GroupRefIsValid', SOON_S)
  const seen = await turns('virtualmcpservers', 'everything', 'Ready', 'True Running')
  assert.equal(seen.status?.phase, 'Ready')
  await startClient(shared, HOME)
  const [listed] = await visit(shared, HOME, { url: seen.status?.url ?? '', era: 'auto', steps: [{ do: 'list' }] })
  assert.ok(
    listed?.tools?.every((tool) => tool.startsWith('osv_')),
    JSON.stringify(listed),
  )
})

test('a key of a virtual server that somebody deletes is made anew when it is missed', async () => {
  const secrets = (): string[] =>
    shared.kubectl(['-n', HOME, 'get', 'secrets', '-o', 'name']).match(/secret\/everything-signing-\S+/g) ?? []
  const [before = ''] = secrets()
  shared.kubectl(['-n', HOME, 'delete', before])
  shared.kubectl(['-n', HOME, 'delete', 'pod', '-l', 'toolhive-name=everything', '--wait=false'])
  await until('another key', () => secrets().some((name) => name !== before))
  const { status } = await turns('virtualmcpservers', 'everything', 'Reconciling', 'False Done')
  const question = { do: 'call', tool: 'osv_echo', arguments: { message: 'by another key' } } as const
  const answered = await until('an answer', async () => {
    const [answer] = await visit(shared, HOME, { url: status?.url ?? '', era: 'auto', steps: [question] })
    return textOf(answer).includes('by another key')
  })
  assert.ok(answered)
})

test('a server of another namespace is used when its owner consents, and no longer when the consent is taken back', async () => {
  apply(
    osv('far', {}, AWAY),
    manifest('VirtualMCPServer', 'reaching', {
      backends: [{ name: 'far', namespace: AWAY }],
      incomingAuth: { type: 'anonymous' },
    }),
  )
  await turns('mcpservers', 'far', 'Ready', 'True Running', 180, AWAY)
  await turns('virtualmcpservers', 'reaching', 'BackendsAllowed', 'False ConsentMissing')
  const signers = async (): Promise<string> => {
    const path = `/api/v1/namespaces/${AWAY}/configmaps/far-runconfig`
    const { data } = await call<{ data: Record<string, string> }>(cluster, 'GET', path)
    const config = JSON.parse(data['runconfig.json'] ?? '{}') as { signers: readonly { issuer: string }[] }
    return config.signers.map(({ issuer }) => issuer).join()
  }
  assert.equal(await signers(), '')
  const annotate = (value: string): string =>
    shared.kubectl(['-n', AWAY, 'annotate', '--overwrite', 'mcpserver', 'far', value])
  annotate(`waggle.dev/allow-virtual-servers-from=${HOME}`)
  const { status } = await turns('virtualmcpservers', 'reaching', 'Ready', 'True Running')
  const signer = new RegExp(`/${HOME}/VirtualMCPServer/reaching$`)
  await until('the trust to begin', async () => signer.test(await signers()), SOON_S)
  // The anonymous proxy lets its own namespace in, and these virtual servers, by the network and by their key.
  const question = { do: 'call', tool: 'far_echo', arguments: { message: 'over there' } } as const
  const answered = await until(
    'an answer from the other namespace',
    async () => {
      const [answer] = await visit(shared, HOME, { url: status?.url ?? '', era: 'auto', steps: [question] })
      return textOf(answer).includes('over there')
    },
    120,
  )
  assert.ok(answered)
  const client = await readyPod(cluster, HOME, 'app=client')
  const [own, foreign] = await attempt(shared, client, [
    ['GET', `http://mcp-osv-proxy.${HOME}.svc.cluster.local:8080/health`],
    ['GET', `http://mcp-far-proxy.${AWAY}.svc.cluster.local:8080/health`],
  ])
  assert.equal(own, '200', 'an anonymous proxy answers its own namespace')
  assert.doesNotMatch(foreign ?? '', /^\d+$/, 'and of others their virtual servers alone')
  annotate('waggle.dev/allow-virtual-servers-from-')
  await turns('virtualmcpservers', 'reaching', 'BackendsAllowed', 'False ConsentMissing', SOON_S)
  await until('the trust to end', async () => (await signers()) === '', SOON_S)
})

test('a configuration stays while a server names it', async () => {
  apply(
    manifest('MCPToolConfig', 'few', { toolsFilter: ['echo'] }),
    manifest('MCPRemoteProxy', 'user', { remoteUrl: 'https://mcp.example/mcp', toolConfigRef: { name: 'few' } }),
  )
  await turns('mcpremoteproxies', 'user', 'ToolConfigValidated', 'True ToolConfigRefValid')
  shared.kubectl(['-n', HOME, 'delete', 'mcptoolconfig', 'few', '--wait=false'])
  await turns('mcptoolconfigs', 'few', 'DeletionBlocked', 'True ReferencedByWorkloads')
  shared.kubectl(['-n', HOME, 'delete', 'mcpremoteproxy', 'user'])
  await until('the configuration to go', () => shared.kubectl(['-n', HOME, 'get', 'mcptoolconfigs']) === '', SOON_S)
})

test('every kind has a status that says whether it is ready, busy or stuck', async () => {
  const issuer = 'https://login.example'
  const resources: readonly (readonly [plural: string, kind: string, spec: object, ready: string, version?: string])[] =
    [
      ['mcpgroups', 'MCPGroup', {}, 'True Ready'],
      ['mcpoidcconfigs', 'MCPOIDCConfig', { type: 'inline', inline: { issuer } }, 'True ConfigValid'],
      ['mcpexternalauthconfigs', 'MCPExternalAuthConfig', { type: 'unauthenticated' }, 'True ConfigValid'],
      ['mcpauthzconfigs', 'MCPAuthzConfig', { type: 'cedarv1', config: {} }, 'False NotSupported'],
      ['mcptoolconfigs', 'MCPToolConfig', {}, 'True ConfigValid'],
      ['mcptelemetryconfigs', 'MCPTelemetryConfig', {}, 'True ConfigValid'],
      ['mcpwebhookconfigs', 'MCPWebhookConfig', {}, 'False NotSupported', 'toolhive.stacklok.dev/v1alpha1'],
      ['mcpserverentries', 'MCPServerEntry', { remoteUrl: issuer, transport: 'sse' }, 'True ConfigValid'],
      [
        'virtualmcpcompositetooldefinitions',
        'VirtualMCPCompositeToolDefinition',
        { name: 'x', steps: [{ id: 'a', tool: 'b.c' }] },
        'True ValidationSucceeded',
      ],
      ['mcpregistries', 'MCPRegistry', { configYAML: 'a: b' }, 'False Deprecated'],
      [
        'toolpolicies',
        'ToolPolicy',
        { targetRef: { kind: 'MCPServer', name: 'osv' }, rules: [] },
        'True InForce',
        'waggle.dev/v1alpha1',
      ],
    ]
  apply(...resources.map(([, kind, spec, , version]) => manifest(kind, 'each', spec, HOME, version)))
  for (const [plural, kind, , expected, version] of resources) {
    const seen = await until(`the status of ${kind}`, async () => {
      const now = await get(plural, 'each', HOME, version)
      return verdict(now, 'Ready') === expected ? now : undefined
    })
    const isReady = expected.startsWith('True')
    assert.equal(verdict(seen, 'Stalled')?.split(' ')[0], isReady ? 'False' : 'True', kind)
    assert.equal(verdict(seen, 'Reconciling')?.split(' ')[0], 'False', kind)
    assert.equal(seen.status?.observedGeneration, seen.metadata.generation, kind)
  }
})
