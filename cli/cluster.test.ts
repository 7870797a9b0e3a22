// `waggle get` against a cluster: an API server that follows a script, found by a kubeconfig as kubectl finds it.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { terminal, type Terminal } from './scripted-edge.ts'

const item = (kind: string, name: string, url: string, reason: string): object => ({
  apiVersion: 'toolhive.stacklok.dev/v1beta1',
  kind,
  metadata: { name, namespace: 'platform-tools' },
  status: {
    phase: reason === 'Running' ? 'Ready' : 'Pending',
    url,
    conditions: [{ type: 'Ready', status: reason === 'Running' ? 'True' : 'False', reason }],
  },
})

const lists: Readonly<Record<string, readonly object[]>> = {
  mcpservers: [
    item('MCPServer', 'grafana', 'http://mcp-grafana-proxy:8080', 'Running'),
    item('MCPServer', 'github', 'http://mcp-github-proxy:8080', 'Starting'),
  ],
  mcpremoteproxies: [item('MCPRemoteProxy', 'linear', 'http://mcp-linear-proxy:8080', 'Running')],
  mcpserverentries: [],
  virtualmcpservers: [item('VirtualMCPServer', 'platform-tools-vmcp', 'http://mcp-vmcp-proxy:9090', 'Running')],
}

async function stage(
  t: TestContext,
  answer: (plural: string) => readonly object[] | number | undefined = (plural) => lists[plural],
): Promise<{ shell: Terminal; asked: string[] }> {
  const asked: string[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://api')
    asked.push(url.pathname)
    const plural = url.pathname.split('/').find((part) => part in lists) ?? ''
    const items = answer(plural)
    const status = typeof items === 'number' ? items : items === undefined ? 404 : 200
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(status === 200 ? { items, metadata: { resourceVersion: '1' } } : { message: 'no' }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  const shell = await terminal(t, {})
  const kubeconfig = join(shell.env['XDG_CONFIG_HOME'] ?? '', 'kubeconfig')
  const config = {
    clusters: [
      { name: 'c', cluster: { server: `http://127.0.0.1:${address.port}`, 'insecure-skip-tls-verify': true } },
    ],
    users: [{ name: 'u', user: {} }],
    contexts: [{ name: 'here', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'here',
  }
  await writeFile(kubeconfig, JSON.stringify(config))
  shell.env['KUBECONFIG'] = kubeconfig
  return { shell, asked }
}

test('without an edge, get shows all servers of the cluster in one table', async (t) => {
  const { shell, asked } = await stage(t)
  assert.equal(await shell.run(['get', '-n', 'platform-tools']), 0)
  assert.deepEqual(
    shell.out
      .join('\n')
      .split('\n')
      .map((line) => line.trim().split(/\s+/)),
    [
      ['NAME', 'KIND', 'STATUS', 'URL'],
      ['github', 'MCPServer', 'Pending', 'http://mcp-github-proxy:8080'],
      ['grafana', 'MCPServer', 'Running', 'http://mcp-grafana-proxy:8080'],
      ['linear', 'MCPRemoteProxy', 'Running', 'http://mcp-linear-proxy:8080'],
      ['platform-tools-vmcp', 'VirtualMCPServer', 'Running', 'http://mcp-vmcp-proxy:9090'],
    ],
  )
  assert.ok(asked.every((path) => path.includes('/namespaces/platform-tools/')))
})

test('kinds that are not installed are left out, and none at all is an error that says what to install', async (t) => {
  const some = await stage(t, (plural) => (plural === 'mcpservers' ? lists[plural] : undefined))
  assert.equal(await some.shell.run(['get', '--cluster', '-A']), 0)
  assert.match(some.shell.out.join('\n'), /platform-tools +grafana/)
  const none = await stage(t, () => undefined)
  assert.equal(await none.shell.run(['get', '--cluster']), 1)
  assert.match(none.shell.err.join('\n'), /helm upgrade --install/)
})

test('a context that is not there, a missing right and an edge beside a cluster are refused with a way out', async (t) => {
  const { shell } = await stage(t, () => 403)
  assert.equal(await shell.run(['get', '--context', 'elsewhere']), 1)
  assert.equal(await shell.run(['get', 'mcpserver', '--context', 'here']), 1)
  assert.match(shell.err.join('\n'), /ask for the right/)
  assert.equal(await shell.run(['get', '--cluster', '--edge', 'https://edge.example']), 2)
})
