// `waggle agent local` as a program of its own: real servers of npm over stdio, a real edge, and what happens when one of them goes.

import assert from 'node:assert/strict'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { running } from '../alive.ts'
import { startEdge, type TestEdge } from '../edge.ts'
import { manifest, type Manifest } from '../peers/manifests.ts'
import { exchange, openSession, type Exchange } from '../peers/wire.ts'

const program = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
const WAIT_MS = 60_000

/** A server over stdio whose only tool does what its argument says. */
const ODD = `
const { createInterface } = require('node:readline')
const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
let count = 0
createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method, params } = JSON.parse(line)
  if (method === 'initialize')
    return say({ id, result: { protocolVersion: '2025-06-18', capabilities: { tools: { listChanged: true } }, serverInfo: { name: 'odd', version: '1' } } })
  if (method === 'tools/list') return say({ id, result: { tools: [{ name: process.env.TOOL ?? 'odd', inputSchema: { type: 'object' } }] } })
  if (method !== 'tools/call') return id === undefined ? undefined : say({ id, result: {} })
  const { act } = params.arguments
  if (act === 'hang') return require('node:fs').writeFileSync(params.arguments.mark, '')
  if (act === 'die') return process.exit(7)
  count += 1
  say({ id, result: { content: [{ type: 'text', text: JSON.stringify({ count, pid: process.pid, token: process.env.TOKEN }) }] } })
})
`

const odd = (spec: object = {}): Manifest =>
  manifest('MCPServer', 'odd', { image: 'node://odd.cjs', transport: 'stdio', ...spec })

async function until<T>(what: string | (() => string), look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  for (const deadline = Date.now() + WAIT_MS; Date.now() < deadline; await sleep(50)) {
    const found = await look()
    if (found !== undefined) return found
  }
  throw new Error(`in ${WAIT_MS} ms not: ${typeof what === 'string' ? what : what()}`)
}

/** A folder of manifests, and the command run on it. */
class Place {
  readonly home = mkdtempSync(join(tmpdir(), 'waggle-local-'))
  readonly folder = join(this.home, 'manifests')
  readonly token = join(this.home, 'token')
  #child: ChildProcess | undefined
  #log = ''

  constructor() {
    mkdirSync(this.folder)
    writeFileSync(join(this.folder, 'odd.cjs'), ODD)
  }

  get log(): string {
    return this.#log
  }
  get pid(): number {
    return this.#child?.pid ?? 0
  }

  write(...resources: readonly Manifest[]): void {
    writeFileSync(
      join(this.folder, 'servers.json'),
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: resources }),
    )
  }

  start(edge: string, cluster: string): void {
    const { folder, token, home } = this
    // What a test that failed has left.
    this.#child?.kill('SIGKILL')
    const options = ['--edge', edge, '--cluster', cluster, '--join-token-file', token, '--state', join(home, 'state')]
    const child = spawn(process.execPath, [program, 'agent', 'local', '-f', folder, ...options], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#log = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#log += text))
    this.#child = child
  }

  /** Waits for a line of the log. */
  async said(pattern: RegExp): Promise<void> {
    await until(
      () => `${pattern} in the log:\n${this.#log}`,
      () => (pattern.test(this.#log) ? true : undefined),
    )
  }

  /** Exit code, or the signal that ended it. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    const child = this.#child
    child?.kill(signal)
    return this.ended()
  }

  async ended(): Promise<number | string> {
    const child = this.#child
    return until(
      () => `the program ends; it said:\n${this.#log}`,
      () => child?.exitCode ?? child?.signalCode ?? undefined,
    )
  }

  /** Servers that run below it: pids. */
  servers(): number[] {
    const table = execFileSync('ps', ['-eo', 'pid=,ppid=,comm='], { encoding: 'utf8' })
    const rows = table
      .trim()
      .split('\n')
      .map((line) => line.trim().split(/\s+/u))
    return rows.filter(([, parent, name]) => Number(parent) === this.pid && name !== 'sh').map(([pid]) => Number(pid))
  }

  async close(): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) await this.end('SIGKILL')
    rmSync(this.home, { recursive: true, force: true })
  }
}

describe('servers of a machine', () => {
  let edge: TestEdge
  const place = new Place()
  let endpoint: string
  let token: string

  before(async () => {
    const aggregation = { conflictResolution: 'prefix', conflictResolutionConfig: { prefixFormat: '{workload}_' } }
    edge = await startEdge({
      resources: [
        manifest('VirtualMCPServer', 'tools', {
          backends: ['odd', 'files', 'memory'].map((name) => ({ name })),
          config: { aggregation },
        }),
      ],
    })
    endpoint = edge.endpoint('tools')
    token = await edge.token(endpoint, { sub: 'ada', groups: ['engineers'] })
    await joinToken(place, 'here')
  })
  after(async () => {
    await Promise.allSettled([place.close(), edge?.close()])
  })

  async function joinToken(at: Place, cluster: string): Promise<void> {
    await edge.admin('PUT', `/admin/v1/clusters/${cluster}`, { method: 'join-token', allow: {} })
    const minted = await edge.admin('POST', `/admin/v1/clusters/${cluster}/token`, {})
    writeFileSync(at.token, ((await minted.json()) as { token: string }).token)
  }

  const call = (name: string, args: object, more: Partial<Parameters<typeof exchange>[1]> = {}): Promise<Exchange> =>
    exchange(endpoint, { method: 'tools/call', token, params: { name, arguments: args }, ...more })
  const textOf = ({ answer }: Exchange): string =>
    (answer?.result?.['content'] as { text: string }[] | undefined)?.[0]?.text ?? JSON.stringify(answer?.error)
  const act = async (args: object = {}): Promise<{ count: number; pid: number; token?: string }> => {
    const answer = await call('odd_odd', args)
    if (answer.answer?.result === undefined) throw new Error(textOf(answer))
    return JSON.parse(textOf(answer)) as { count: number; pid: number }
  }

  test('two servers of npm and one of its own are called over the link, as who calls', async () => {
    const files = join(place.home, 'files')
    mkdirSync(files)
    writeFileSync(join(files, 'note.txt'), 'over the link')
    place.write(
      odd(),
      manifest('MCPServer', 'files', { image: 'npx://@modelcontextprotocol/server-filesystem', args: [files] }),
      manifest('MCPServer', 'memory', {
        image: 'npx://@modelcontextprotocol/server-memory',
        env: [{ name: 'MEMORY_FILE_PATH', value: join(place.home, 'memory.jsonl') }],
      }),
      {
        apiVersion: 'waggle.dev/v1alpha1',
        kind: 'ToolPolicy',
        metadata: { name: 'rights', namespace: 'test' },
        spec: {
          targetRef: { kind: 'MCPServer', name: 'files' },
          rules: [{ tools: ['write_file'], groups: ['admins'] }],
        },
      },
    )
    place.start(edge.url, 'here')
    const names = await edge.lists(endpoint, ['odd_odd', 'files_read_text_file', 'memory_create_entities'])
    assert.ok(!names.includes('files_write_file'), 'the policy of the folder holds')
    assert.equal(textOf(await call('files_read_text_file', { path: join(files, 'note.txt') })), 'over the link')
    const entities = [{ name: 'ada', entityType: 'person', observations: ['likes bees'] }]
    await call('memory_create_entities', { entities })
    assert.match(textOf(await call('memory_search_nodes', { query: 'bees' })), /ada/u)
    const denied = await call('files_write_file', { path: join(files, 'x'), content: 'x' })
    assert.notEqual(denied.answer?.error, undefined)
    assert.equal(statSync(join(place.home, 'state', 'identity.jwk')).mode & 0o777, 0o600)
  })

  test('callers do not meet: each has a process of their own, and sessions of one caller too', async () => {
    const first = await act()
    assert.equal((await act()).pid, first.pid, 'calls without a session share the caller’s')
    const other = await edge.token(endpoint, { sub: 'ben' })
    const bens = JSON.parse(textOf(await call('odd_odd', {}, { token: other }))) as { count: number; pid: number }
    assert.notEqual(bens.pid, first.pid)
    assert.equal(bens.count, 1)
    const session = await openSession(endpoint, token)
    const own = JSON.parse(textOf(await call('odd_odd', {}, { era: 'legacy', session }))) as { pid: number }
    assert.notEqual(own.pid, first.pid)
    await fetch(endpoint, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}`, 'mcp-session-id': session ?? '' },
    })
    await until('the process of an ended session ends', () => (running([own.pid]).length > 0 ? undefined : true))
  })

  test('calls at the same time, with the same ids, each get their own answer', async () => {
    const counts = await Promise.all(Array.from({ length: 20 }, async () => (await act()).count))
    assert.equal(new Set(counts).size, 20)
  })

  test('a process that dies fails its calls at once, typed, and the next call has another', async () => {
    const { pid } = await act()
    const mark = join(place.home, 'hangs')
    const hanging = call('odd_odd', { act: 'hang', mark })
    await until('the call has come to the process', () => (existsSync(mark) ? true : undefined))
    const at = performance.now()
    process.kill(pid, 'SIGKILL')
    assert.equal((await hanging).answer?.error?.data?.['reason'], 'backend_unavailable')
    assert.ok(performance.now() - at < 15_000)
    const died = (await call('odd_odd', { act: 'die' })).answer?.error?.data
    assert.deepEqual([died?.['reason'], died?.['server']], ['backend_unavailable', 'test/odd'])
    const next = await until('it is back', async () => act().catch(() => undefined))
    assert.notEqual(next.pid, pid)
  })

  test('a caller who gives up leaves nothing waiting', async () => {
    const mark = join(place.home, 'hangs-again')
    const leave = new AbortController()
    const hanging = call('odd_odd', { act: 'hang', mark }, { signal: leave.signal })
    hanging.catch(() => undefined)
    await until('the call has come to the process', () => (existsSync(mark) ? true : undefined))
    leave.abort()
    await assert.rejects(hanging)
    assert.equal(typeof (await act()).count, 'number')
  })

  test('manifests that change are taken up; those that are wrong are not, and what ran goes on', async () => {
    place.write(odd({ env: [{ name: 'TOOL', value: 'renamed' }] }))
    await until('the tool is renamed', async () => {
      const names = await edge.lists(endpoint, [])
      return names.includes('odd_renamed') && !names.some((name) => name.startsWith('files_')) ? true : undefined
    })
    place.write(odd({ transport: 'smoke-signals' }))
    await place.said(/"manifest_refused".*spec\.transport/u)
    await place.said(/"manifests_kept"/u)
    assert.match(textOf(await call('odd_renamed', {})), /"count"/u)
  })

  test('a secret that is missing is named, and used once it is there', async () => {
    place.write(odd({ secrets: [{ name: 'api', key: 'token', targetEnvName: 'TOKEN' }] }))
    await place.said(/write the value of key token of api to/u)
    const folder = join(place.home, 'state', 'secrets', 'test', 'api')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'token'), 'sesame\n')
    const { token: seen } = await until('the server runs', async () => act().catch(() => undefined))
    assert.equal(seen, 'sesame')
  })

  test('killed without a word it leaves no process, and the next one needs no token', async () => {
    await act()
    const servers = place.servers()
    assert.ok(servers.length > 0)
    await place.end('SIGKILL')
    await until('all servers end', () => (running(servers).length > 0 ? undefined : true))
    const away = await call('odd_odd', {})
    assert.equal(away.answer?.error?.data?.['reason'], 'backend_unavailable')
    rmSync(place.token)
    place.start(edge.url, 'here')
    await until('calls work again', async () => act().catch(() => undefined))
    const again = place.servers()
    assert.equal(await place.end('SIGTERM'), 0)
    assert.deepEqual(running(again), [])
  })

  describe('that cannot join', () => {
    const other = new Place()
    after(async () => other.close())

    test('manifests that cannot be used end it, with file, line and field', async () => {
      other.write(manifest('MCPServer', 'odd', { image: 'ghcr.io/acme/server:1', transport: 'stdio' }))
      other.start(edge.url, 'elsewhere')
      assert.equal(await other.ended(), 1)
      assert.match(other.log, /servers\.json:1: .*needs a container/u)
    })

    test('a token that is wrong is said, and the right one is taken without a restart', async () => {
      other.write(odd())
      writeFileSync(other.token, 'x'.repeat(43))
      await edge.admin('PUT', '/admin/v1/clusters/elsewhere', { method: 'join-token', allow: {} })
      other.start(edge.url, 'elsewhere')
      await other.said(/"not_linked".*join token is not taken/u)
      await joinToken(other, 'elsewhere')
      await other.said(/"linked"/u)
      assert.equal(await other.end(), 0)
    })

    test('an edge that is away is said, and waited for', async () => {
      other.start('http://127.0.0.1:1', 'elsewhere')
      await other.said(/"not_linked".*does not answer/u)
      assert.equal(await other.end(), 0)
    })
  })
})
