// `waggle cluster` and `waggle status` as they are typed, against an edge, and where it is read an API server, that follow a script.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Answer, type Asked, type Terminal, scriptedEdge, terminal } from './scripted-edge.ts'

const jwks = { keys: [{ kty: 'RSA', kid: 'k', n: 'AQAB', e: 'AQAB' }] }
const issuer = 'https://kubernetes.default.svc.cluster.local'
const everything = { namespaces: ['*'], kinds: ['*'], virtualServers: ['*'] }

/** The edge stores what it is told and says so. */
function store({ method, path, body }: Asked): Answer | undefined {
  const id = path.split('/')[4] ?? ''
  if (path.endsWith('/token')) return { body: { id, token: 'T'.repeat(43), expires: '2026-11-01T00:00:00.000Z' } }
  if (path.endsWith('/revoke')) return { body: { id } }
  if (method === 'DELETE') return { body: { id } }
  if (method !== 'PUT') return undefined
  const { allow = {}, ...rest } = body as { allow?: object }
  const times = { createdAt: '2026-11-01T00:00:00.000Z', edge: 'https://mcp.example.com' }
  return {
    body: { id, keys: [], tokens: [], action: 'created', allow: { ...everything, ...allow }, ...times, ...rest },
  }
}

async function stage(
  t: TestContext,
  answer: (asked: Asked) => Answer | undefined = store,
): Promise<{ shell: Terminal; asked: Asked[]; url: string }> {
  const edge = await scriptedEdge(t, answer)
  const shell = await terminal(t, { WAGGLE_EDGE: edge.url, WAGGLE_TOKEN: 'machine-token' })
  return { shell, asked: edge.asked, url: edge.url }
}

/** A kubeconfig for an API server that says who signs its tokens. */
async function kubeconfig(t: TestContext, shell: Terminal, refuses = false): Promise<void> {
  const server = await scriptedEdge(t, ({ path }) => {
    if (refuses) return { status: 403, body: { kind: 'Status', message: 'no' } }
    if (path === '/.well-known/openid-configuration') return { body: { issuer, jwks_uri: `${issuer}/openid/v1/jwks` } }
    return path === '/openid/v1/jwks'
      ? { headers: { 'content-type': 'application/jwk-set+json' }, body: jwks }
      : undefined
  })
  const path = join(shell.env['XDG_CONFIG_HOME'] ?? '', 'kubeconfig')
  const config = {
    clusters: [{ name: 'c', cluster: { server: server.url, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'here',
  }
  await writeFile(path, JSON.stringify(config))
  shell.env['KUBECONFIG'] = path
}

test('a cluster of the kubeconfig is added by its issuer and keys, and the commands for Helm are all that stdout has', async (t) => {
  const { shell, asked } = await stage(t)
  await kubeconfig(t, shell)
  assert.equal(await shell.run(['cluster', 'add', 'prod', '--from-kubeconfig']), 0, shell.err.join('\n'))
  assert.deepEqual(
    [asked[0]?.method, asked[0]?.path, asked[0]?.body],
    ['PUT', '/admin/v1/clusters/prod', { method: 'kubernetes-oidc', issuer, jwks }],
  )
  assert.deepEqual(shell.out, [
    'helm upgrade --install waggle-crds charts/waggle-crds -n toolhive-system --create-namespace',
    'helm upgrade --install waggle-agent charts/waggle-agent -n toolhive-system --set edge.url=https://mcp.example.com --set edge.cluster=prod',
  ])
  assert.match(shell.err.join('\n'), /cluster prod created: joins by tokens of .*; may publish everything/)
})

test('a login that may not read the keys is told what it lacks, and nothing is sent', async (t) => {
  const { shell, asked } = await stage(t)
  await kubeconfig(t, shell, true)
  assert.equal(await shell.run(['cluster', 'add', 'prod', '--from-kubeconfig']), 1)
  assert.match(shell.err.join('\n'), /service-account-issuer-discovery/)
  assert.equal(asked.length, 0)
})

test('an issuer, a file of keys, a namespace and what may be published are sent as they are said', async (t) => {
  const { shell, asked } = await stage(t)
  const file = join(shell.env['XDG_CONFIG_HOME'] ?? '', 'jwks.json')
  await writeFile(file, JSON.stringify(jwks))
  const words = ['--issuer', issuer, '--jwks', file, '-n', 'waggle', '--allow-namespace', 'a', '--allow-namespace', 'b']
  const more = ['--allow-kind', 'vmcp', '--allow-virtual-server', 'a/*']
  assert.equal(await shell.run(['cluster', 'add', 'prod', ...words, ...more]), 0, shell.err.join('\n'))
  assert.deepEqual(asked[0]?.body, {
    method: 'kubernetes-oidc',
    issuer,
    jwks,
    subject: 'system:serviceaccount:waggle:waggle-agent-uplink',
    allow: { namespaces: ['a', 'b'], kinds: ['VirtualMCPServer'], virtualServers: ['a/*'] },
  })
  assert.match(shell.out.join('\n'), /-n waggle --create-namespace/)
})

test('a join token goes from one command into a Secret and stands on no command line', async (t) => {
  const { shell, asked } = await stage(t)
  assert.equal(await shell.run(['cluster', 'add', 'prod', '--join-token']), 0, shell.err.join('\n'))
  assert.deepEqual(asked[0]?.body, { method: 'join-token' })
  assert.equal(asked.length, 1)
  assert.equal(
    shell.out[1],
    'waggle cluster token prod | kubectl create secret generic waggle-join-token -n toolhive-system --from-file=token=/dev/stdin',
  )
  assert.match(shell.out[2] ?? '', /--set edge.joinTokenSecret=waggle-join-token$/)
  assert.equal(await shell.run(['cluster', 'token', 'prod', '--for', '5m']), 0)
  assert.deepEqual(asked[1]?.body, { seconds: 300 })
  assert.deepEqual(shell.out, ['T'.repeat(43)])
  assert.ok(!shell.err.join('').includes('TTT'))
})

test('ways of joining that contradict each other, and names that are none, are refused before anything is sent', async (t) => {
  const { shell, asked } = await stage(t)
  for (const words of [
    [],
    ['--join-token', '--issuer', issuer],
    ['--from-kubeconfig', '--issuer', issuer],
    ['--jwks', 'file'],
    ['--join-token', '--subject', 'system:serviceaccount:a:b'],
    ['--join-token', '--allow-kind', 'Pod'],
    ['--join-token', '-n', 'a.b'],
  ])
    assert.equal(await shell.run(['cluster', 'add', 'prod', ...words]), 2, words.join(' '))
  for (const words of [
    ['cluster'],
    ['cluster', 'remove', 'prod'],
    ['cluster', 'add', '--join-token'],
    ['cluster', 'add', 'Prod', '--join-token'],
    ['cluster', 'token', 'prod', '--for', '2h'],
    ['cluster', 'revoke'],
    ['cluster', 'revoke', 'a', 'b'],
    ['cluster', 'list', '-o', 'yaml'],
    ['status', 'a', 'b'],
  ])
    assert.equal(await shell.run(words), 2, words.join(' '))
  assert.equal(asked.length, 0)
})

test('revoke and delete name the cluster, and pass on what the edge warns of', async (t) => {
  const { shell, asked } = await stage(t, (one) => {
    const found = store(one)
    return one.path.endsWith('/revoke') ? { body: { id: 'a', warnings: [{ message: 'not told' }] } } : found
  })
  assert.equal(await shell.run(['cluster', 'revoke', 'a']), 0)
  assert.deepEqual([shell.out, shell.err], [['cluster/a revoked'], ['warning: not told']])
  assert.equal(await shell.run(['cluster', 'delete', 'a']), 0)
  assert.deepEqual(shell.out, ['cluster/a deleted'])
  assert.deepEqual(
    asked.map(({ method, path }) => `${method} ${path}`),
    ['POST /admin/v1/clusters/a/revoke', 'DELETE /admin/v1/clusters/a'],
  )
})

test('drain asks the edge, and says so', async (t) => {
  const { shell, asked } = await stage(t, () => ({ body: { id: 'a' } }))
  assert.equal(await shell.run(['cluster', 'drain', 'a']), 0)
  assert.deepEqual(shell.out, ['cluster/a drained'])
  assert.deepEqual([asked[0]?.method, asked[0]?.path], ['POST', '/admin/v1/clusters/a/drain'])
})

test('list shows how each cluster joins and what it may publish', async (t) => {
  const times = { createdAt: new Date(Date.now() - 3 * 86_400_000).toISOString() }
  const items = [
    { id: 'a', method: 'kubernetes-oidc', issuer, keys: [], allow: everything, ...times },
    {
      id: 'b',
      method: 'join-token',
      keys: [{}],
      allow: { ...everything, namespaces: ['team'], kinds: ['MCPServer'] },
      ...times,
    },
    { id: 'c', method: 'join-token', keys: [], revokedAt: times.createdAt, allow: everything, ...times },
  ]
  const { shell } = await stage(t, () => ({ body: { items } }))
  assert.equal(await shell.run(['cluster', 'list']), 0)
  assert.deepEqual(
    shell.out.map((line) => line.split(/ {3,}/)),
    [
      ['NAME', 'JOINS', 'MAY PUBLISH', 'AGE'],
      ['a', `by tokens of ${issuer}`, 'everything', '3d'],
      ['b', 'by its key', 'MCPServer; in team', '3d'],
      ['c', 'revoked', 'everything', '3d'],
    ],
  )
})

test('status shows clusters and links, however little a hub says', async (t) => {
  const now = Date.now()
  const link = {
    replica: 'pod-1',
    version: '0.1.0',
    isLeader: true,
    since: now - 11 * 3_600_000,
    lastSeen: now - 300_000,
    latencyMs: 12.4,
  }
  const clusters = [
    {
      id: 'a',
      method: 'join-token',
      hub: { state: 'online', epoch: 3, servers: 2, connections: [link, { ...link, isSuspect: true }] },
    },
    { id: 'b', method: 'join-token', error: 'its hub does not answer' },
    {
      id: 'c',
      method: 'join-token',
      hub: { refused: { at: now - 8_000, replica: 'pod-2', reason: 'too old\u001b[2J' } },
    },
    { id: 'd', method: 'join-token', revokedAt: '2026-11-01T00:00:00.000Z' },
  ]
  const { shell, asked } = await stage(t, () => ({ body: { version: '0.1.0', clusters, left: 0 } }))
  assert.equal(await shell.run(['status']), 0, shell.err.join('\n'))
  assert.deepEqual(
    shell.out.map((line) => line.split(/ {3,}/)),
    [
      ['CLUSTER', 'STATE', 'LINKS', 'SERVERS', 'EPOCH'],
      ['a', 'online', '2', '2', '3'],
      ['b', 'its hub does not answer', '0', '-', '-'],
      ['c', 'not connected', '0', '-', '-'],
      ['d', 'revoked', '0', '-', '-'],
      [''],
      ['CLUSTER', 'UPLINK', 'VERSION', 'ROLE', 'AGE', 'LEASE', 'LATENCY', 'CALLS'],
      ['a', 'pod-1', '0.1.0', 'leader', '11h', '5m', '12ms', '0'],
      ['a', 'pod-1', '0.1.0', 'leader, silent', '11h', '5m', '12ms', '0'],
    ],
  )
  assert.match(shell.err.join('\n'), /^c: uplink pod-2 got no link \d+s ago: too old \[2J$/mu)
  assert.equal(await shell.run(['status', 'a', '-o', 'json']), 0)
  assert.equal(asked[1]?.path, '/admin/v1/status?cluster=a')
  assert.equal((JSON.parse(shell.out.join('\n')) as { clusters: unknown[] }).clusters.length, 4)
})
