import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { parse, stringify } from 'yaml'
import type { Settings } from '../settings.ts'
import {
  container,
  grafana,
  plans,
  proxy,
  runConfig,
  running,
  server,
  serving,
  specOf,
  workload,
} from './grafana-scene.ts'
import { mcpServer } from './mcp-server.ts'
import { keysMap, NAMESPACE, objectOf, planned, verdicts } from './scene.ts'

test("the article's manifest gives exactly these objects", () => {
  const path = join(import.meta.dirname, 'grafana.golden.yaml')
  const made = plans().objects.map((object) => JSON.parse(JSON.stringify(object)) as unknown)
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, stringify(made))
  assert.deepEqual(made, parse(readFileSync(path, 'utf8')))
})

test('the objects have the names that ToolHive gives them', () => {
  assert.deepEqual(
    plans()
      .objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
      .sort(),
    [
      'ConfigMap grafana-runconfig',
      'Deployment grafana',
      'NetworkPolicy grafana-proxy',
      'NetworkPolicy grafana-server',
      'Role grafana-proxy-runner',
      'RoleBinding grafana-proxy-runner',
      'Service mcp-grafana',
      'Service mcp-grafana-headless',
      'Service mcp-grafana-proxy',
      'ServiceAccount grafana-proxy-runner',
      'ServiceAccount grafana-sa',
      'StatefulSet grafana',
    ],
  )
})

test('the URL follows proxyPort and endpointPrefix; ports that need privileges are the Service’s only', () => {
  const url = (spec: object): unknown => plans(spec).status['url']
  assert.equal(url({}), `http://mcp-grafana-proxy.${NAMESPACE}.svc.cluster.local:8080/mcp`)
  assert.equal(
    url({ proxyPort: 9000, endpointPrefix: '/a' }),
    `http://mcp-grafana-proxy.${NAMESPACE}.svc.cluster.local:9000/a/mcp`,
  )
  const plan = plans({ proxyPort: 80 })
  const ports = specOf(objectOf(plan, 'Service', 'mcp-grafana-proxy'))['ports'] as {
    port: number
    targetPort: unknown
  }[]
  assert.equal(ports[0]?.port, 80)
  assert.equal(ports[0]?.targetPort, 'http')
  assert.equal(runConfig(plan).port, 8080)
  assert.equal(verdicts(plans({ proxyPort: 9464 }))['Stalled'], 'True InvalidPort')
})

test('replicas are left alone unless they are given, and stdio has one of each', () => {
  const replicas = (spec: object): unknown[] => {
    const plan = plans(spec)
    return [
      specOf(objectOf(plan, 'Deployment', 'grafana'))['replicas'],
      specOf(objectOf(plan, 'StatefulSet', 'grafana'))['replicas'],
    ]
  }
  assert.deepEqual(replicas({}), [undefined, undefined])
  assert.deepEqual(replicas({ replicas: 2, backendReplicas: 3 }), [2, 3])
  assert.deepEqual(replicas({ replicas: 0, backendReplicas: 0 }), [0, 0])
  assert.deepEqual(replicas({ replicas: 2, backendReplicas: 3, transport: 'stdio' }), [1, 1])
})

test('several replicas share a sealing key, which is asked for once', () => {
  assert.deepEqual(plans({ replicas: 1 }).keys, [])
  assert.deepEqual(plans({ replicas: 2 }).keys, [{ purpose: 'sealing' }])
  const keys = keysMap('MCPServer', 'grafana', { 'secrets.json': '{"sealing":"grafana-sealing-0123456789"}' })
  const plan = plans({ replicas: 2 }, { objects: [keys] })
  assert.deepEqual(plan.keys, [])
  assert.match(JSON.stringify(proxy(plan).spec['volumes']), /grafana-sealing-0123456789/)
})

test('sessions without a common store are warned about', () => {
  const warning = (spec: object, settings: Partial<Settings> = {}) =>
    verdicts(plans(spec, { settings }))['SessionStorageWarning']
  const redis = { sessionStorage: { provider: 'redis', address: 'redis:6379' } }
  assert.equal(warning({}), 'False SessionStorageWarningNotApplicable')
  assert.equal(warning({ backendReplicas: 3 }), 'True SessionStorageMissingForReplicas')
  assert.equal(warning({ replicas: 2, ...redis }), 'False SessionStorageConfigured')
  assert.equal(
    warning({ replicas: 2 }, { defaultRedis: { address: 'r:1', secret: undefined } }),
    'False SessionStorageConfigured',
  )
})

test('servers over stdio and sse are planned, and say that calls are refused for now', () => {
  for (const transport of ['stdio', 'sse']) {
    const plan = plans({ transport }, { objects: running })
    assert.equal(verdicts(plan)['TransportServed'], 'False NotAvailable')
    assert.equal(verdicts(plan)['Stalled'], 'True TransportNotServed')
    assert.equal(container(server(plan))['stdin'], transport === 'stdio' ? true : undefined)
    const services = plan.objects.filter(({ kind }) => kind === 'Service').length
    assert.equal(services, transport === 'stdio' ? 1 : 3)
  }
})

test('names that no Service can have are refused', () => {
  for (const name of ['a.b', 'x'.repeat(60)]) {
    const plan = planned(mcpServer, { manifests: [grafana({}, { name })] })
    assert.equal(verdicts(plan)['Stalled'], 'True InvalidName')
  }
})

test('a StatefulSet of ToolHive’s keeps its pods until the spec changes', () => {
  const theirs = workload('StatefulSet', serving)
  const theirSpec = {
    replicas: 1,
    podManagementPolicy: 'OrderedReady',
    template: { metadata: { labels: { app: 'grafana' } } },
  }
  const first = objectOf(plans({}, { objects: [{ ...theirs, spec: theirSpec }] }), 'StatefulSet', 'grafana')
  assert.equal(specOf(first)['template'], undefined)
  assert.equal(specOf(first)['podManagementPolicy'], 'OrderedReady')
  const metadata = { ...theirs.metadata, annotations: { ...first.metadata.annotations } }
  const adopted = { ...theirs, metadata, spec: theirSpec }
  assert.deepEqual(objectOf(plans({}, { objects: [adopted] }), 'StatefulSet', 'grafana'), first, 'nothing changes')
  const changed = plans({ image: 'grafana/mcp-grafana:2' }, { objects: [adopted] })
  assert.equal(container(server(changed))['image'], 'grafana/mcp-grafana:2')
  assert.equal(specOf(objectOf(changed, 'StatefulSet', 'grafana'))['podManagementPolicy'], 'OrderedReady')
  const service = specOf(objectOf(plans({}, { objects: [adopted] }), 'Service', 'mcp-grafana'))
  assert.deepEqual(service['selector'], { app: 'grafana' }, 'pods without our label are found')
})

test('a plan depends on nothing but what it is given, and no list names anything twice', () => {
  const envs = fc.uniqueArray(
    fc.record({ name: fc.stringMatching(/^[A-Z_]{1,6}$/), value: fc.string({ maxLength: 8 }) }),
    {
      selector: ({ name }) => name,
      maxLength: 5,
    },
  )
  const specs = fc.record(
    {
      env: envs,
      secrets: fc.uniqueArray(
        fc.record({
          name: fc.constantFrom('a', 'b'),
          key: fc.constant('k'),
          targetEnvName: fc.stringMatching(/^[A-Z_]{1,6}$/),
        }),
        { selector: ({ targetEnvName }) => targetEnvName, maxLength: 4 },
      ),
      proxyPort: fc.integer({ min: 1, max: 65_535 }),
      mcpPort: fc.integer({ min: 1, max: 65_535 }),
      replicas: fc.nat({ max: 3 }),
      transport: fc.constantFrom('stdio', 'sse', 'streamable-http'),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(specs, (spec) => {
      const plan = plans(spec)
      assert.deepEqual(plan, plans(spec))
      const objects = plan.objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
      assert.equal(new Set(objects).size, objects.length)
      if (plan.objects.length === 0) return
      for (const one of [server(plan), proxy(plan)]) {
        const names = (container(one)['env'] as { name: string }[]).map(({ name }) => name)
        assert.equal(new Set(names).size, names.length)
      }
    }),
    { numRuns: 60 },
  )
})
