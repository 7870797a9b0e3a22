// Commands as they are typed, against an edge that follows a script: what is sent, what is printed, what the exit code is.

import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Answer, type Asked, type Terminal, scriptedEdge, terminal } from './scripted-edge.ts'

const linear = `apiVersion: toolhive.stacklok.dev/v1beta1
kind: MCPRemoteProxy
metadata:
  name: linear
spec:
  remoteUrl: https://mcp.linear.app/mcp
  oidcConfigRef:
    name: login
    audience: https://mcp.example.com
`

interface Stage {
  shell: Terminal
  asked: Asked[]
  url: string
  file: (name: string, text: string) => Promise<string>
}

async function stage(t: TestContext, answer: (asked: Asked) => Answer | undefined): Promise<Stage> {
  const edge = await scriptedEdge(t, answer)
  const shell = await terminal(t, { WAGGLE_EDGE: edge.url, WAGGLE_TOKEN: 'machine-token' })
  const file = async (name: string, text: string): Promise<string> => {
    const path = join(shell.env['XDG_CONFIG_HOME'] ?? '', name)
    await writeFile(path, text)
    return path
  }
  return { shell, asked: edge.asked, url: edge.url, file }
}

const resourcesOf = (asked: Asked | undefined): { metadata: object }[] =>
  asked === undefined ? [] : (asked.body as { resources: { metadata: object }[] }).resources

const result = (action: string, more: object = {}): Answer => ({
  body: {
    results: [
      {
        kind: 'MCPRemoteProxy',
        namespace: 'default',
        name: 'linear',
        action,
        resourceVersion: '1',
        warnings: [],
        ...more,
      },
    ],
  },
})

test('apply sends the manifests with their namespace and prints what became of each', async (t) => {
  const { shell, asked, file } = await stage(t, () => result('created'))
  assert.equal(
    await shell.run(['apply', '-f', await file('linear.yaml', linear), '-n', 'team']),
    0,
    shell.err.join('\n'),
  )
  assert.deepEqual(shell.out, ['mcpremoteproxy.toolhive.stacklok.dev/linear created'])
  assert.equal(asked[0]?.method, 'PUT')
  assert.equal(asked[0]?.path, '/admin/v1/resources')
  assert.equal(asked[0]?.authorization, 'Bearer machine-token')
  assert.deepEqual(resourcesOf(asked[0])[0]?.metadata, { name: 'linear', namespace: 'team' })
})

test('apply reads stdin and folders, and a dry run says that it is one', async (t) => {
  const { shell, asked, file } = await stage(t, () => result('configured'))
  assert.equal(await shell.run(['apply', '-f', '-', '--dry-run'], linear), 0)
  assert.deepEqual(shell.out, ['mcpremoteproxy.toolhive.stacklok.dev/linear configured (dry run)'])
  assert.equal(asked[0]?.path, '/admin/v1/resources?dryRun=true')
  const folder = join(await file('linear.yaml', linear), '..')
  await file('notes.txt', 'not a manifest')
  assert.equal(await shell.run(['apply', '-f', folder]), 0)
  assert.equal(resourcesOf(asked[1]).length, 1)
})

test('a manifest that the schemas refuse is not sent; its problems have file and line', async (t) => {
  const { shell, asked, file } = await stage(t, () => result('created'))
  const path = await file('bad.yaml', linear.replace('remoteUrl', 'remotUrl'))
  assert.equal(await shell.run(['apply', '-f', path]), 1)
  assert.equal(asked.length, 0)
  const line = shell.err.find((each) => each.includes('remotUrl')) ?? ''
  assert.ok(line.startsWith(`${path}:6: spec.remotUrl: `), line)
  assert.match(line, /did you mean remoteUrl\?$/)
  assert.match(shell.err.join('\n'), /error: nothing was sent: 2 problems/)
})

test('problems that only the edge sees have file and line too', async (t) => {
  const problem = { index: 0, path: 'spec.remoteUrl', message: 'is refused here' }
  const error = { reason: 'invalid_resource', message: 'Nothing was applied: see problems.', problems: [problem] }
  const { shell, file } = await stage(t, () => ({ status: 422, body: { error } }))
  const path = await file('linear.yaml', linear)
  assert.equal(await shell.run(['apply', '-f', path]), 1)
  assert.deepEqual(shell.err.slice(0, 2), [
    `${path}:6: spec.remoteUrl: is refused here`,
    'error: Nothing was applied: see problems.',
  ])
})

test('warnings of the edge have file and line and do not fail the command', async (t) => {
  const { shell, file } = await stage(t, () =>
    result('unchanged', { warnings: [{ path: 'spec', message: 'careful' }] }),
  )
  const path = await file('linear.yaml', linear)
  assert.equal(await shell.run(['apply', '-f', path]), 0)
  assert.deepEqual(shell.err, [`warning: ${path}:5: spec: careful`])
})

test('a manifest of another namespace than -n is not moved silently', async (t) => {
  const { shell, asked, file } = await stage(t, () => result('created'))
  const path = await file('linear.yaml', linear.replace('name: linear', 'name: linear\n  namespace: mine'))
  assert.equal(await shell.run(['apply', '-f', path, '-n', 'other']), 2)
  assert.match(shell.err[0] ?? '', /linear\.yaml:5: the manifest is for the namespace mine, not other/)
  assert.equal(asked.length, 0)
})

test('get shows all kinds in one table, with the word that the seed uses for ready', async (t) => {
  const ready = [{ type: 'Ready', status: 'True', reason: 'Running' }]
  const item = (kind: string, name: string, status: object): object => ({
    apiVersion: 'toolhive.stacklok.dev/v1beta1',
    kind,
    metadata: {
      name,
      namespace: 'platform-tools',
      creationTimestamp: new Date(Date.now() - 3 * 86_400_000).toISOString(),
    },
    spec: {},
    status,
  })
  const linear = item('MCPRemoteProxy', 'linear', {
    phase: 'Ready',
    conditions: ready,
    url: 'https://e/platform-tools/linear/mcp',
  })
  const { shell, asked } = await stage(t, ({ path }) =>
    path.includes('/resources/')
      ? { body: linear }
      : { body: { items: [linear, item('MCPGroup', 'evil\u001b[2J', { phase: 'Pending' })] } },
  )
  assert.equal(await shell.run(['get', '-n', 'platform-tools']), 0)
  assert.deepEqual(shell.out, [
    'NAME       KIND             STATUS    URL',
    'linear     MCPRemoteProxy   Running   https://e/platform-tools/linear/mcp',
    'evil [2J   MCPGroup         Pending',
  ])
  assert.equal(asked[0]?.path, '/admin/v1/resources?namespace=platform-tools')

  assert.equal(await shell.run(['get', 'rp', 'linear', '-n', 'platform-tools']), 0)
  assert.equal(asked[1]?.path, '/admin/v1/resources/MCPRemoteProxy/platform-tools/linear')
  assert.match(shell.out[1] ?? '', /^linear\s+Running\s+https:\S+\s+3d$/)

  assert.equal(await shell.run(['get', 'vmcp', '-A', '-o', 'wide']), 0)
  assert.equal(asked[2]?.path, '/admin/v1/resources?kind=VirtualMCPServer')
  assert.match(shell.out[0] ?? '', /^NAMESPACE +NAME +STATUS +URL +AGE +REMOTE URL +BACKENDS +MESSAGE$/)

  assert.equal(await shell.run(['get', 'rp/linear', '-n', 'platform-tools', '-o', 'yaml']), 0)
  assert.equal(shell.out[1], 'kind: MCPRemoteProxy')
  assert.equal(await shell.run(['get', '-A', '-o', 'json']), 0)
  assert.equal((JSON.parse(shell.out.join('\n')) as { items: object[] }).items.length, 2)
})

test('delete takes kinds by any of their names, and files', async (t) => {
  const { shell, asked, file } = await stage(t, ({ path }) => {
    if (path.endsWith('/gone')) return undefined
    return {
      body: {
        kind: 'VirtualMCPServer',
        namespace: 'default',
        name: 'x',
        warnings: [{ path: 'spec', message: 'A still names it' }],
      },
    }
  })
  assert.equal(await shell.run(['delete', 'vmcp', 'tools']), 0)
  assert.deepEqual(shell.out, ['virtualmcpserver.toolhive.stacklok.dev/tools deleted'])
  assert.deepEqual(shell.err, ['warning: A still names it'])
  assert.equal(await shell.run(['delete', '-f', await file('linear.yaml', linear)]), 0)
  assert.deepEqual(
    asked.map(({ method, path }) => `${method} ${path}`),
    [
      'DELETE /admin/v1/resources/VirtualMCPServer/default/tools',
      'DELETE /admin/v1/resources/MCPRemoteProxy/default/linear',
    ],
  )
  assert.equal(await shell.run(['delete', 'rp', 'gone']), 1)
  assert.equal(await shell.run(['delete', 'rp', 'gone', '--ignore-not-found']), 0)
  assert.equal(await shell.run(['delete', 'pods', 'x']), 2)
  assert.equal(await shell.run(['delete', 'vmcp', '../secrets']), 2)
})

test('secrets are read from stdin and files and never printed', async (t) => {
  const { shell, asked, file } = await stage(t, ({ method }) =>
    method === 'GET'
      ? { body: { items: [{ namespace: 'default', name: 'linear', keys: ['token', 'cert'] }] } }
      : { body: { namespace: 'default', name: 'linear', keys: ['cert', 'token'] } },
  )
  const cert = await file('cert.pem', 'hush-file\n')
  const argv = ['secret', 'set', 'linear', 'token=-', 'other=hush-argument=x', '--from-file', `cert=${cert}`]
  assert.equal(await shell.run(argv, 'hush-stdin\n'), 0, shell.err.join('\n'))
  assert.deepEqual(asked[0]?.body, { data: { token: 'hush-stdin', other: 'hush-argument=x', cert: 'hush-file' } })
  assert.equal(asked[0]?.path, '/admin/v1/secrets/default/linear')
  assert.deepEqual(shell.out, ['secret/linear set (keys: cert, token)'])
  assert.match(shell.err.join('\n'), /other is in your shell's history/)
  assert.equal(
    [...shell.out, ...shell.err].some((line) => line.includes('hush')),
    false,
  )

  assert.equal(await shell.run(['secret', 'set', 'linear', 'hush-without-key']), 2)
  assert.equal(
    shell.err.some((line) => line.includes('hush')),
    false,
  )
  assert.equal(await shell.run(['secret', 'list']), 0)
  assert.deepEqual(shell.out, ['NAME     KEYS', 'linear   token, cert'])
  assert.equal(await shell.run(['secret', 'delete', 'linear']), 0)
  assert.equal(asked.at(-1)?.method, 'DELETE')
})

test('audit prints a line per event that cannot steer the terminal', async (t) => {
  const event = {
    logged_at: '2026-11-20T14:02:11.123Z',
    outcome: 'denied',
    type: 'mcp_tool_call',
    subjects: { user: 'ben\u001b[1m' },
    target: { endpoint: '/demo/tools/mcp', method: 'tools/call', name: 'board_close' },
    metadata: { extra: { reason: 'insufficient_scope' } },
  }
  const { shell, asked } = await stage(t, () => ({ body: { events: [event] } }))
  assert.equal(await shell.run(['audit', '--limit', '5']), 0)
  assert.equal(asked[0]?.path, '/admin/v1/audit?limit=5')
  assert.match(
    shell.out[1] ?? '',
    /^2026-11-20 14:02:11 +denied +ben \[1m +tools\/call +\/demo\/tools\/mcp board_close +insufficient_scope$/,
  )
  assert.equal(await shell.run(['audit', '-o', 'json']), 0)
  assert.deepEqual(JSON.parse(shell.out[0] ?? ''), event)
  assert.equal(await shell.run(['audit', '--limit', '0']), 2)
})

test('revoke takes durations and says until when', async (t) => {
  const { shell, asked } = await stage(t, ({ method }) =>
    method === 'GET'
      ? { body: { items: [{ issuer: 'https://i', subject: 'ben', until: 1_800_000_000 }] } }
      : { body: { issuer: 'https://i', subject: 'ben', until: 1_800_000_000 } },
  )
  assert.equal(await shell.run(['revoke', '--issuer', 'https://i', '--subject', 'ben', '--for', '2h']), 0)
  assert.deepEqual(asked[0]?.body, { issuer: 'https://i', subject: 'ben', seconds: 7200 })
  assert.deepEqual(shell.out, ['ben is refused until 2027-01-15T08:00:00Z'])
  assert.equal(await shell.run(['revoke', '--undo', '--issuer', 'https://i', '--subject', 'ben']), 0)
  assert.equal(asked[1]?.path, '/admin/v1/revocations?issuer=https%3A%2F%2Fi&subject=ben')
  assert.equal(await shell.run(['revoke', '--list']), 0)
  assert.equal(shell.out.length, 2)
  assert.equal(await shell.run(['revoke', '--issuer', 'https://i', '--subject', 'ben', '--for', 'ever']), 2)
  assert.equal(await shell.run(['revoke', '--issuer', 'https://i']), 2)
})

test('every refusal says what is wrong and what to do', async (t) => {
  let answer: Answer = {}
  const { shell, url } = await stage(t, () => answer)
  const cases: [Answer, RegExp][] = [
    [{ status: 401 }, /does not accept the token\n.*set WAGGLE_TOKEN to a valid token for .*\/admin/],
    [
      { status: 403, headers: { 'www-authenticate': 'Bearer error="insufficient_scope", scope="waggle:admin"' } },
      /needs the scope waggle:admin\n.*log ?in/,
    ],
    [
      { status: 409, body: { error: { reason: 'conflict', message: 'It has changed.' } } },
      /It has changed\.\n.*waggle get/,
    ],
    [{ status: 503, headers: { 'retry-after': '2' }, body: '' }, /HTTP 503\n.*try again in 2 s/],
    [{ status: 302, headers: { location: 'https://elsewhere.example/' } }, /redirects to https:\/\/elsewhere/],
    [{ status: 200, body: '<html>' }, /something else than its admin API/],
    [{ status: 500, body: '<html>' }, /HTTP 500/],
  ]
  for (const [each, expected] of cases) {
    answer = each
    assert.equal(await shell.run(['get']), 1)
    assert.match(shell.err.join('\n'), expected)
    assert.equal(shell.err.join('\n').includes('machine-token'), false)
  }
  assert.equal(await shell.run(['get', '--edge', 'http://127.0.0.1:1']), 1)
  assert.match(shell.err.join('\n'), /cannot reach http:\/\/127.0.0.1:1: .*\n.*--edge/)
  assert.equal(await shell.run(['get', '--edge', 'http://edge.example']), 2)
  assert.match(shell.err[0] ?? '', /not encrypted/)
  shell.env = { XDG_CONFIG_HOME: shell.env['XDG_CONFIG_HOME'] ?? '' }
  assert.equal(await shell.run(['get']), 1)
  assert.match(shell.err.join('\n'), /no edge chosen\n.*waggle login/)
  assert.equal(await shell.run(['get', '--edge', url]), 1)
  assert.match(shell.err.join('\n'), /not logged in at .*\n.*waggle login --edge/)
})

test('wrong usage has exit code 2 and names the way out', async (t) => {
  const shell = await terminal(t)
  for (const argv of [
    ['nonsense'],
    ['get', '--nope'],
    ['apply'],
    ['secret'],
    ['get', 'mcpserver'],
    ['delete'],
    ['serve', '--port', 'x'],
  ]) {
    assert.equal(await shell.run(argv), 2, argv.join(' '))
    assert.match(shell.err[0] ?? '', /^error: /)
  }
  assert.equal(await shell.run(['help']), 0)
  assert.equal(await shell.run(['help', 'apply']), 0)
  assert.equal(await shell.run(['apply', '--help']), 0)
  assert.match(shell.out[0] ?? '', /^waggle apply -f/)
})
