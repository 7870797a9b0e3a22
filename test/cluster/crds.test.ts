// The kinds on a real API server: it takes the CRDs, explains them, and judges every manifest as the schemas in `crds/` do.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { outputs } from '../../crds/generate/outputs.ts'
import { published, publishedKinds } from '../../crds/generate/published.ts'
import { kinds, type Kind } from '../../crds/kinds.ts'
import { isTree, type Json, type Tree } from '../../crds/plain.ts'
import { call } from './bed/api.ts'
import { until } from './bed/shell.ts'
import { apiServer, type Judge } from './crds/api-server.ts'
import { complaints } from './crds/repair.ts'
import { specs } from './crds/specs.ts'
import { installCrds } from './release.ts'
import { type Shared, sharedCluster } from './shared.ts'

const SPECS = 500
const MAX_BYTES = 200_000
const root = dirname(dirname(import.meta.dirname))
const namespace = 'crds-test'

interface Definition {
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> }
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
}

let shared: Shared
let server: Judge

before(async () => {
  shared = await sharedCluster()
  installCrds(shared)
  await shared.namespace(namespace)
  server = apiServer(shared.cluster)
  await until('all kinds to be served', async () => {
    const found = await Promise.all(publishedKinds.map((kind) => server.serves(collection(kind))))
    return found.every(Boolean)
  })
})

after(() => server.close())

/** Where objects of `kind` are made. */
function collection(kind: Kind, apiVersion: string = kinds[kind].apiVersion): string {
  return `/apis/${apiVersion}/namespaces/${namespace}/${kinds[kind].plural}`
}

function manifest(kind: Kind, spec: Json, apiVersion: string = kinds[kind].apiVersion): object {
  return { apiVersion, kind, metadata: { name: 'a' }, spec }
}

test('every CRD is established, structural and smaller than 200 kB', async () => {
  const files = outputs()
  for (const kind of publishedKinds) {
    const { plural, apiVersion } = kinds[kind]
    const name = `${plural}.${apiVersion.split('/')[0] ?? ''}`
    const path = `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${name}`
    const { status } = await call<Definition>(shared.cluster, 'GET', path)
    const conditions = new Map(status?.conditions?.map((each) => [each.type, each.status]))
    assert.equal(conditions.get('Established'), 'True', name)
    assert.equal(conditions.get('NamesAccepted'), 'True', name)
    assert.notEqual(conditions.get('NonStructuralSchema'), 'True', name)
    const file = files.get(`charts/waggle-crds/templates/crds/${plural}.yaml`) ?? ''
    assert.ok(file.length > 0 && Buffer.byteLength(file) < MAX_BYTES, `${name}: ${Buffer.byteLength(file)} bytes`)
  }
})

const seed = Number(process.env['WAGGLE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

for (const kind of publishedKinds) {
  test(`the API server judges ${SPECS} specs of ${kind} as the schema does`, async () => {
    const schema = published(kind).written
    const all = specs(schema, SPECS, seed)
    const verdicts = await Promise.all(all.map((spec) => server.judge(collection(kind), manifest(kind, spec))))
    let accepted = 0
    for (const [index, spec] of all.entries()) {
      const verdict = verdicts[index]
      const problems = complaints(schema, spec).map(({ path, message }) => `${path.join('.')} ${message}`)
      if (verdict?.accepted === true) accepted++
      assert.equal(
        verdict?.accepted,
        problems.length === 0,
        `WAGGLE_SEED=${seed}\n${JSON.stringify(spec)}\nschema: ${problems.join('; ') || 'accepts'}\nAPI server: ${verdict?.answer ?? ''}`,
      )
    }
    assert.ok(
      accepted > SPECS / 5 && accepted < (SPECS * 4) / 5,
      `${accepted} of ${SPECS} were accepted: that proves little`,
    )
  })
}

test('a rule that spans fields answers with what to do', async () => {
  const cases: [kind: Kind, spec: Json, message: RegExp][] = [
    ['MCPServer', { image: 'a', sessionStorage: { provider: 'redis' } }, /address is required when provider is redis/],
    ['MCPServer', { image: 'a', authzConfig: { type: 'inline' } }, /inline is required when type is inline/],
    ['MCPRemoteProxy', {}, /remoteUrl is required/],
    ['MCPOIDCConfig', { type: 'inline' }, /inline is required when type is inline/],
    ['MCPExternalAuthConfig', { type: 'unauthenticated', obo: {} }, /obo goes only with type: obo/],
    ['VirtualMCPServer', { incomingAuth: { type: 'oidc' } }, /oidcConfigRef is required when type is oidc/],
    [
      'VirtualMCPServer',
      { config: { rateLimiting: { shared: { maxTokens: 1, refillPeriod: '1s' } } } },
      /sessionStorage with provider: redis is required/,
    ],
    [
      'VirtualMCPServer',
      { embeddingServerRef: { name: 'tei' }, config: { optimizer: { embeddingProvider: 'openai' } } },
      /embeddingServerRef does not go with config\.optimizer/,
    ],
  ]
  for (const [kind, spec, message] of cases) {
    const { accepted, answer } = await server.judge(collection(kind), manifest(kind, spec))
    assert.equal(accepted, false, `${kind} ${JSON.stringify(spec)}`)
    assert.match((JSON.parse(answer) as { message: string }).message, message)
  }
})

test('two keys of one Secret can be given to a server', async () => {
  const secrets = ['A', 'B'].map((name) => ({ name: 'one', key: name.toLowerCase(), targetEnvName: name }))
  const { answer } = await server.judge(collection('MCPServer'), manifest('MCPServer', { image: 'a', secrets }))
  assert.deepEqual((JSON.parse(answer) as { spec: { secrets: unknown } }).spec.secrets, secrets)
})

test('the older version takes the same objects, with the deprecation warning of ToolHive', async () => {
  for (const kind of publishedKinds.filter((each) => kinds[each].apiVersion.endsWith('/v1beta1'))) {
    const group = kinds[kind].apiVersion.split('/')[0] ?? ''
    const older = `${group}/v1alpha1`
    const [spec = {}] = sound(kind)
    const { accepted, answer, warning } = await server.judge(collection(kind, older), manifest(kind, spec, older))
    assert.ok(accepted, answer)
    if (kind === 'MCPRegistry') assert.match(warning, /MCPRegistry is deprecated/)
    else assert.equal(warning, `${older} is deprecated; use v1beta1`)
  }
})

test('kubectl explains every kind, field by field', async () => {
  const last = publishedKinds.at(-1) ?? 'MCPServer'
  const { plural, apiVersion } = kinds[last]
  await until('the kinds to be explained', () => explain(plural, apiVersion).includes(published(last).summary))
  for (const kind of publishedKinds) {
    const text = explain(`${kinds[kind].plural}.spec`, kinds[kind].apiVersion)
    assert.match(text, new RegExp(`What the ${kind} shall be`))
    assert.doesNotMatch(text, /<empty>|<no description>/, kind)
  }
})

function explain(what: string, apiVersion: string): string {
  return shared.kubectl(['explain', what, `--api-version=${apiVersion}`]).replaceAll(/\s+/g, ' ')
}

test('the switches of the chart: nothing is installed, or nothing kept', () => {
  const render = (...set: string[]): string =>
    shared.helm([
      'template',
      'x',
      join(root, 'charts/waggle-crds'),
      '--kube-version=1.36.0',
      ...set.map((each) => `--set=${each}`),
    ])
  assert.equal(render().match(/^kind: CustomResourceDefinition$/gm)?.length, publishedKinds.length)
  assert.equal(render().match(/helm\.sh\/resource-policy: keep/g)?.length, publishedKinds.length)
  assert.equal(render('crds.install=false').trim(), '')
  assert.doesNotMatch(render('crds.keep=false'), /resource-policy/)
  assert.throws(() => render('crds.instal=false'), /instal/)
})

test('every manifest of the examples is accepted by the API server as it stands', async () => {
  const folder = join(root, 'examples/cluster')
  const ours = new Set<string>(publishedKinds)
  let judged = 0
  const judge = async (file: string, found: Manifest): Promise<void> => {
    const { apiVersion, kind } = found
    const placed = { ...found, metadata: { ...found.metadata, namespace } }
    const { accepted, answer } = await server.judge(collection(kind, apiVersion), placed)
    assert.ok(accepted, `${file}: ${answer}`)
    judged++
  }
  const grafana = parse(readFileSync(join(folder, 'seed/grafana.yaml'), 'utf8')) as Manifest
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.yaml'),
  )) {
    const text = readFileSync(join(folder, file), 'utf8')
    if (file.endsWith('.values.yaml')) continue
    for (const document of parseAllDocuments(text)) {
      const found = document.toJS() as Partial<Manifest> & Tree
      if (found.kind !== undefined && ours.has(found.kind)) await judge(file, found as Manifest)
      // A part of a resource: of the one that it is printed beside in the article.
      else if (found.kind === undefined)
        await judge(file, { ...grafana, spec: { ...grafana.spec, ...(isTree(found.spec) ? found.spec : found) } })
    }
  }
  assert.ok(judged >= 10, `${judged} manifests`)
})

interface Manifest {
  readonly apiVersion: string
  readonly kind: Kind
  readonly metadata: Tree
  readonly spec: Tree
}

test('kubectl get prints the columns of the article, and toolhive shows every kind', async () => {
  for (const kind of publishedKinds) {
    const [spec = {}] = sound(kind)
    await call(shared.cluster, 'POST', collection(kind), manifest(kind, spec))
  }
  try {
    const all = shared.kubectl(['get', 'toolhive', `--namespace=${namespace}`])
    for (const kind of publishedKinds) {
      const { singular, apiVersion } = kinds[kind]
      assert.ok(all.includes(`${singular}.${apiVersion.split('/')[0] ?? ''}/a`), `${kind} is missing in\n${all}`)
    }
    for (const word of ['mcpservers', 'rp', 'vmcp']) {
      const [head = ''] = shared.kubectl(['get', word, `--namespace=${namespace}`]).split('\n')
      assert.deepEqual(head.trim().split(/\s+/), ['NAME', 'STATUS', 'URL', 'AGE'], word)
    }
  } finally {
    for (const kind of publishedKinds) await call(shared.cluster, 'DELETE', `${collection(kind)}/a`)
  }
})

/** Specs that the schema accepts, small ones first. */
function sound(kind: Kind): Json[] {
  const schema = published(kind).written
  return specs(schema, 60, 7)
    .filter((spec) => complaints(schema, spec).length === 0)
    .sort((one, other) => JSON.stringify(one).length - JSON.stringify(other).length)
}
