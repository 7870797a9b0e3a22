import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { patchTemplate } from './pod-template.ts'
import { containerSecurity, podSecurity } from './security.ts'
import { settings } from './kinds/scene.ts'
import { isTree, type Tree } from './strategic.ts'

const template: Tree = {
  metadata: { labels: { app: 'grafana', 'toolhive-name': 'grafana' } },
  spec: {
    serviceAccountName: 'grafana-sa',
    automountServiceAccountToken: false,
    securityContext: podSecurity(settings),
    containers: [
      {
        name: 'mcp',
        image: 'grafana',
        securityContext: containerSecurity(settings),
        volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
      },
    ],
    volumes: [{ name: 'tmp', emptyDir: {} }],
  },
}
const none: ReadonlySet<string> = new Set()
const account = 'serviceAccountName'

/** Where a pod leaves the `restricted` level of Pod Security, or its own account: Kubernetes' rules, read independently. */
function faults({ metadata, spec }: Tree): string[] {
  const pod = isTree(spec) ? spec : {}
  const found: string[] = []
  const note = (fault: string, is: boolean): void => void (is && found.push(fault))
  const at = (value: unknown): Tree => (isTree(value) ? value : {})
  const list = (value: unknown): Tree[] => (Array.isArray(value) ? value.filter(isTree) : [])
  note('another account', pod[account] !== 'grafana-sa' || (pod['serviceAccount'] ?? 'grafana-sa') !== 'grafana-sa')
  for (const field of ['hostNetwork', 'hostPID', 'hostIPC']) note(field, (pod[field] ?? false) !== false)
  const safe = new Set(['name', 'configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'image', 'secret'])
  for (const volume of list(pod['volumes']))
    for (const source of Object.keys(volume))
      note(source, !safe.has(source) && source !== 'persistentVolumeClaim' && source !== 'projected')
  const shared = at(pod['securityContext'])
  for (const one of [...list(pod['containers']), ...list(pod['initContainers'])]) {
    const own = at(one['securityContext'])
    const capabilities = at(own['capabilities'])
    note('privileged', (own['privileged'] ?? false) !== false)
    note('escalation', own['allowPrivilegeEscalation'] !== false)
    note(
      'root',
      (own['runAsNonRoot'] ?? shared['runAsNonRoot']) !== true || (own['runAsUser'] ?? shared['runAsUser']) === 0,
    )
    note('drop', !(Array.isArray(capabilities['drop']) && capabilities['drop'].includes('ALL')))
    note('add', Array.isArray(capabilities['add']) && capabilities['add'].some((name) => name !== 'NET_BIND_SERVICE'))
    const profile = at(own['seccompProfile'] ?? shared['seccompProfile'])['type']
    note('seccomp', profile !== 'RuntimeDefault' && profile !== 'Localhost')
    note(
      'hostPort',
      list(one['ports']).some((port) => (port['hostPort'] ?? 0) !== 0),
    )
  }
  const labels = at(at(metadata)['labels'])
  note('labels', labels['app'] !== 'grafana' || labels['toolhive-name'] !== 'grafana')
  return found
}

const refused: Readonly<Record<string, Tree>> = {
  'the account taken away': { spec: { [account]: null } },
  'the whole spec replaced': { spec: { $patch: 'replace', containers: [{ name: 'mcp', image: 'x' }] } },
  'the spec taken away': { spec: null },
  'the labels replaced': { metadata: { labels: { $patch: 'replace', app: 'other' } } },
  'the old name of the account': { spec: { serviceAccount: 'admin' } },
  'a directory of an NFS server': { spec: { volumes: [{ name: 'v', nfs: { server: 'a', path: '/' } }] } },
  'a driver on the node': { spec: { volumes: [{ name: 'v', flexVolume: { driver: 'a/b' } }] } },
  'a directory of the node in the place of a volume of ours': {
    spec: { volumes: [{ name: 'tmp', hostPath: { path: '/' } }] },
  },
  'AppArmor by its old annotation': {
    metadata: { annotations: { 'container.apparmor.security.beta.kubernetes.io/mcp': 'unconfined' } },
  },
}
for (const [what, patch] of Object.entries(refused))
  test(`a template is refused: ${what}`, () => assert.equal(patchTemplate(template, patch, none).ok, false))

const silent: Readonly<Record<string, Tree>> = {
  'the security of the pod by null': { spec: { securityContext: null } },
  'the security of the pod by replacing it': { spec: { securityContext: { $patch: 'replace' } } },
  'the security of a container by null': { spec: { containers: [{ name: 'mcp', securityContext: null }] } },
  'capabilities by null': { spec: { containers: [{ name: 'mcp', securityContext: { capabilities: null } }] } },
  'containers by replacing them': { spec: { containers: [{ $patch: 'replace' }, { name: 'mcp', image: 'x' }] } },
  'everything, for containers of one’s own': {
    spec: { containers: [{ name: 'side', image: 's' }], initContainers: [{ name: 'first', image: 'f' }] },
  },
}
for (const [what, patch] of Object.entries(silent))
  test(`what is left out stays restricted: ${what}`, () => {
    const patched = patchTemplate(template, patch, none)
    assert.ok(patched.ok)
    assert.deepEqual(faults(patched.template), [])
    const allowed = patchTemplate(template, patch, new Set(['privileged']))
    assert.ok(allowed.ok)
  })

test('no patch at all leads out of the restricted level or to another account', () => {
  const leaf = fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    1000,
    'ALL',
    'Unconfined',
    'replace',
    'delete',
    'mcp',
    'x',
    [],
    {},
  )
  const names = fc.constantFrom(
    ...`metadata labels annotations app spec containers initContainers volumes name mcp type $patch hostPath nfs path
    securityContext privileged allowPrivilegeEscalation capabilities drop add runAsNonRoot runAsUser seccompProfile hostNetwork
    ${account} serviceAccount ports hostPort containerPort projected sources __proto__ constructor`.split(/\s+/u),
  )
  const { tree } = fc.letrec<{ tree: unknown; node: unknown }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      leaf,
      fc.dictionary(names, tie('tree'), { maxKeys: 4 }),
      fc.array(tie('tree'), { maxLength: 3 }),
    ),
    node: leaf,
  }))
  const part = fc.dictionary(names, tree, { maxKeys: 5 })
  const context = fc.option(part, { nil: null })
  const container = fc.record(
    { name: fc.constantFrom('mcp', 'side'), securityContext: context },
    { requiredKeys: ['name'] },
  )
  const shaped = fc.record(
    {
      containers: fc.array(fc.oneof(container, fc.constant({ $patch: 'replace' })), { maxLength: 3 }),
      initContainers: fc.array(container, { maxLength: 2 }),
      securityContext: context,
      volumes: fc.array(part.map((volume) => ({ ...volume, name: 'tmp' }))),
      [account]: leaf,
      $patch: fc.constant('replace'),
    },
    { requiredKeys: [] },
  )
  let accepted = 0
  fc.assert(
    fc.property(
      fc.oneof(
        part,
        shaped.map((spec) => ({ spec })),
        fc.record({ metadata: part, spec: part }),
      ),
      (patch) => {
        const patched = patchTemplate(template, JSON.parse(JSON.stringify(patch)) as Tree, none)
        if (!patched.ok) return
        accepted += 1
        // What the API server would read.
        assert.deepEqual(faults(JSON.parse(JSON.stringify(patched.template)) as Tree), [])
      },
    ),
    { numRuns: 3000 },
  )
  assert.ok(accepted > 100, `only ${accepted} patches were judged`)
})
