// Service accounts as callers: a pod shows a proxy its own projected token, which the proxy verifies by the keys of the API server. Tokens that
// are meant for others, belong to others or come from elsewhere open nothing, and their calls reach no server.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { AuditEvent } from '../../protocol/audit.ts'
import { call } from './bed/api.ts'
import { down, serve } from './bed/cluster.ts'
import { cluster as letter } from './bed/plan.ts'
import { until } from './bed/shell.ts'
import { exec, readyPod, startClient, textOf, visit } from './pods.ts'
import { installCrds, installOperator } from './release.ts'
import { tokenOf } from './rights.ts'
import { sharedCluster } from './shared.ts'

const [HOME, AWAY] = ['accounts', 'accounts-away'] as const
const AUDIENCE = 'mcp'
const TOKENS = '/var/run/tokens'

const shared = await sharedCluster()
const { cluster } = shared
/** Another cluster: its issuer has the same name, its namespaces and accounts too, and its keys are its own. */
const other = letter('o')

const kubectl = (...args: string[]): string => shared.kubectl(['-n', HOME, ...args])
const urlOf = (name: string): string => `http://mcp-${name}-proxy.${HOME}:8080/mcp`
const account = (at: typeof cluster, namespace: string, name: string): Promise<unknown> =>
  call(at, 'POST', `/api/v1/namespaces/${namespace}/serviceaccounts`, { metadata: { name } })

before(async () => {
  const elsewhere = serve(other, shared.tools)
  await Promise.all([HOME, AWAY].map((name) => shared.namespace(name)))
  installCrds(shared)
  await installOperator(shared)
  const config = (name: string, kubernetesServiceAccount: object): object =>
    resource('MCPOIDCConfig', name, { type: 'kubernetesServiceAccount', kubernetesServiceAccount })
  const server = (name: string): object =>
    resource('MCPServer', name, {
      image: 'ghcr.io/stackloklabs/osv-mcp/server:latest',
      transport: 'streamable-http',
      mcpPort: 8000,
      oidcConfigRef: { name, audience: AUDIENCE },
    })
  const manifests = [
    config('every', {}),
    config('robots', { serviceAccount: 'robot' }),
    ...['every', 'robots'].map(server),
  ]
  shared.kubectl(['apply', '--validate=strict', '-f', '-'], manifests.map((one) => JSON.stringify(one)).join('\n---\n'))
  for (const name of ['robot', 'stranger']) await account(cluster, HOME, name)
  await account(cluster, AWAY, 'robot')
  const source = (audience: string): object => ({ serviceAccountToken: { audience, path: audience } })
  await startClient(
    shared,
    HOME,
    {
      serviceAccountName: 'robot',
      volumes: [{ name: 'tokens', projected: { sources: [source(AUDIENCE), source('another')] } }],
    },
    [{ name: 'tokens', mountPath: TOKENS }],
  )
  for (const name of ['every', 'robots']) {
    await readyPod(cluster, HOME, `toolhive-name=${name},waggle.dev/role=server`)
    await readyPod(cluster, HOME, `toolhive-name=${name},waggle.dev/role=proxy`)
  }
  await elsewhere
  await call(other, 'POST', '/api/v1/namespaces', { metadata: { name: HOME } })
  await account(other, HOME, 'robot')
})
after(async () => {
  await down(other)
  shared.kubectl(['delete', 'namespace', HOME, AWAY, '--wait=false'])
})

function resource(kind: string, name: string, spec: object): object {
  return { apiVersion: 'toolhive.stacklok.dev/v1beta1', kind, metadata: { name, namespace: HOME }, spec }
}

/** Calls `echo` from the pod, with this token or the one in this file of its own; resolves with the HTTP status. */
async function echo(name: string, message: string, token: { text?: string; file?: string }): Promise<number> {
  const script = `
    const { url, body, token } = JSON.parse(process.argv[1])
    const bearer = token.file === undefined ? token.text : require('node:fs').readFileSync(token.file, 'utf8')
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'echo',
      ...(bearer !== undefined && { authorization: 'Bearer ' + bearer }) }
    // A Service of ready pods may forward nowhere for a moment: then nobody was asked.
    const ask = (tries) => fetch(url, { method: 'POST', headers, body, signal: AbortSignal.timeout(20000) }).catch(async (error) => {
      if (error.cause?.code !== 'ECONNREFUSED' || tries === 0) throw error
      await new Promise((resolve) => setTimeout(resolve, 500))
      return ask(tries - 1)
    })
    ask(60).then(async (response) => {
      await response.text()
      console.log(response.status)
    })`
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': {},
    'io.modelcontextprotocol/clientInfo': { name: 'pod', version: '1' },
  }
  const params = { name: 'echo', arguments: { message }, _meta }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })
  const ask = JSON.stringify({ url: urlOf(name), body, token })
  const { out, complaint } = await exec(shared, HOME, 'client', ['/bin/node', '-e', script, ask])
  if (out === '') throw new Error(complaint)
  return Number(out)
}

/** The audit events of a proxy, oldest first. */
function events(name: string): AuditEvent[] {
  const printed = kubectl('logs', `deployment/${name}`)
  return printed
    .split('\n')
    .filter((line) => line.includes('"audit_event"'))
    .map((line) => JSON.parse(line) as AuditEvent)
}

test('a pod calls with its own projected token of the right audience, and the audit names its account', async () => {
  const [list, said] = await visit(shared, HOME, {
    url: urlOf('robots'),
    era: 'auto',
    tokenFile: `${TOKENS}/${AUDIENCE}`,
    steps: [{ do: 'list' }, { do: 'call', tool: 'echo', arguments: { message: 'from a pod' } }],
  })
  assert.ok(list?.tools?.includes('echo'))
  assert.equal(textOf(said), 'from a pod')
  const echoes = (): AuditEvent[] => events('robots').filter(({ target }) => target['name'] === 'echo')
  const called = await until('the audit event', () => echoes()[0])
  assert.equal(called.outcome, 'success')
  assert.match(JSON.stringify(called.subjects), new RegExp(`"system:serviceaccount:${HOME}:robot"`))
  assert.equal(await echo('robots', 'once more', { file: `${TOKENS}/${AUDIENCE}` }), 200)
  await until('the server to write it down', () => kubectl('logs', 'robots-0').includes('once more'))
  await until('both to be written down by the proxy', () => echoes().length === 2)
})

test('a config that names no account admits every one of the cluster', async () => {
  const text = await tokenOf(cluster, AWAY, 'robot', AUDIENCE)
  assert.equal(await echo('every', 'welcome', { text }), 200)
})

test('every other token is refused, and its call reaches no server', async () => {
  const before = events('robots').length
  const refused: Readonly<Record<string, { text?: string; file?: string }>> = {
    'none at all': {},
    'for another audience': { file: `${TOKENS}/another` },
    'for the API server': { text: await tokenOf(cluster, HOME, 'robot') },
    'of another account': { text: await tokenOf(cluster, HOME, 'stranger', AUDIENCE) },
    'of the same account in another namespace': { text: await tokenOf(cluster, AWAY, 'robot', AUDIENCE) },
    'of the same account in another cluster': { text: await tokenOf(other, HOME, 'robot', AUDIENCE) },
  }
  for (const [which, token] of Object.entries(refused)) assert.equal(await echo('robots', 'never', token), 401, which)
  const left = await until('an event for each', () => {
    const all = events('robots').slice(before)
    return all.length >= Object.keys(refused).length ? all : undefined
  })
  for (const { outcome, metadata } of left) {
    assert.equal(outcome, 'denied')
    assert.equal(metadata.extra['backend_name'], undefined)
  }
  assert.doesNotMatch(kubectl('logs', 'robots-0'), /never/)
})
