// Plain workerd with a Worker made for the question: what may it reach, what does it keep, how does it end.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bundle } from './bundle.ts'
import { Failure } from './failure.ts'
import { type ServeOptions, type Served, serve } from './serve.ts'

const source = `
import { DurableObject } from 'cloudflare:workers'
export class Keeper extends DurableObject {
  async alarm() { this.ctx.storage.sql.exec('insert into seen values (1)'); console.log('alarm') }
  async fetch(request) {
    this.ctx.storage.sql.exec('create table if not exists seen (n integer)')
    const wait = new URL(request.url).searchParams.get('wait')
    if (wait) await this.ctx.storage.setAlarm(Date.now() + Number(wait))
    return new Response(String(this.ctx.storage.sql.exec('select count(*) c from seen').one().c))
  }
}
export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url)
    if (pathname === '/healthz') return new Response('ok', { status: env.SICK ? 503 : 200 })
    if (pathname === '/env') return Response.json({ ...env, STORE: undefined, PRIVATE_NETWORK: undefined })
    if (pathname === '/keep') return env.STORE.getByName('one').fetch(request)
    const go = searchParams.get('network') === 'private' ? (...a) => env.PRIVATE_NETWORK.fetch(...a) : fetch
    try {
      const response = await go(searchParams.get('url'), { redirect: 'manual', signal: AbortSignal.timeout(1500) })
      return new Response('reached ' + response.status)
    } catch (error) { return new Response(String(error)) }
  },
}`

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'waggle-serve-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

async function fixture(t: TestContext, text = source): Promise<{ worker: string; stateDir: string }> {
  const path = await folder(t)
  const worker = join(path, 'worker')
  await mkdir(worker)
  await writeFile(join(worker, 'worker.js'), text)
  const facts = {
    compatibilityDate: '2026-10-01',
    compatibilityFlags: [],
    durableObjects: [{ binding: 'STORE', className: 'Keeper', sql: true }],
  }
  await writeFile(join(worker, 'worker.json'), JSON.stringify(facts))
  return { worker, stateDir: join(path, 'state') }
}

async function run(t: TestContext, options: ServeOptions): Promise<Served> {
  const served = await serve(options)
  t.after(() => served.close())
  return served
}

const text = async (url: string): Promise<string> => (await fetch(url)).text()
const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Whether workerd says that an address is refused by its own rules; waits for that, as it says so beside its answer. */
async function refused(served: Served, said: string[], network: string, url: string): Promise<boolean> {
  said.length = 0
  await text(`${served.url}/reach?network=${network}&url=${encodeURIComponent(url)}`)
  return eventually(() => said.some((line) => /connecting to .* is not allowed/.test(line)))
}

/** Whether it holds within half a minute. */
async function eventually(holds: () => boolean | Promise<boolean>): Promise<boolean> {
  for (const deadline = Date.now() + 30_000; Date.now() < deadline; await sleep(20)) if (await holds()) return true
  return false
}

test('the networks refuse what they must, and the private one nothing else', async (t) => {
  const said: string[] = []
  const fixed = await fixture(t)
  const served = await run(t, { ...fixed, vars: {}, onErrorLine: (line) => said.push(line) })
  const port = new URL(served.url).port
  const metadata = [
    'http://169.254.169.254/latest/meta-data/',
    'http://[::ffff:169.254.169.254]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://[fd00:ec2::254]/',
    'http://[fe80::1]/',
    'http://100.100.100.200/',
    'http://168.63.129.16/',
  ]
  const loopback = [
    '127.0.0.1',
    'localhost',
    '[::1]',
    '127.9.9.9',
    '[::ffff:127.0.0.1]',
    '0.0.0.0',
    '2130706433',
    '0x7f.1',
  ]
  const inside = ['http://10.1.2.3:9/', 'http://172.16.0.9:9/', 'http://192.168.1.1:9/', 'http://100.64.0.1:9/']
  for (const url of [...metadata, ...loopback.map((host) => `http://${host}:${port}/healthz`)]) {
    assert.ok(await refused(served, said, 'public', url), `public: ${url}`)
    assert.ok(await refused(served, said, 'private', url), `private: ${url}`)
  }
  for (const url of [...inside, 'http://[fd00::9]:9/']) assert.ok(await refused(served, said, 'public', url), url)
  said.length = 0
  await Promise.all(inside.map((url) => text(`${served.url}/reach?network=private&url=${encodeURIComponent(url)}`)))
  await sleep(100)
  assert.deepEqual(
    said.filter((line) => line.includes('is not allowed')),
    [],
  )
})

test('with ALLOW_LOOPBACK the private network reaches this machine, the public one does not', async (t) => {
  const said: string[] = []
  const fixed = await fixture(t)
  const vars = { ALLOW_LOOPBACK: 'true' }
  const served = await run(t, { ...fixed, vars, onErrorLine: (line) => said.push(line) })
  const url = encodeURIComponent(`${served.url}/healthz`)
  assert.equal(await text(`${served.url}/reach?network=private&url=${url}`), 'reached 200')
  assert.ok(await refused(served, said, 'public', `${served.url}/healthz`))
  assert.ok(await refused(served, said, 'private', 'http://169.254.169.254/'))
})

test('alarms fire, and rows and alarms survive a restart', async (t) => {
  const fixed = await fixture(t)
  const lines: string[] = []
  const first = await serve({ ...fixed, vars: {}, onLine: (line) => lines.push(line) })
  assert.equal(await text(`${first.url}/keep?wait=20`), '0')
  await eventually(() => lines.length > 0)
  assert.deepEqual(lines, ['alarm'])
  assert.equal(await text(`${first.url}/keep?wait=400`), '1')
  await first.close()
  assert.equal(alive(first.pid), false)

  const second = await run(t, { ...fixed, vars: {} })
  await eventually(async () => (await text(`${second.url}/keep`)) === '2')
  assert.equal(await text(`${second.url}/keep`), '2')
})

test('variables arrive as they are; keys are made once and kept private', async (t) => {
  const fixed = await fixture(t)
  const odd = 'a"b\\c\n$HOME é'
  const first = await serve({ ...fixed, vars: { ODD: odd, VAULT_KEYS: 'mine' } })
  const seen = JSON.parse(await text(`${first.url}/env`)) as Record<string, string>
  await first.close()
  assert.equal(seen['ODD'], odd)
  assert.equal(seen['VAULT_KEYS'], 'mine')
  assert.equal(seen['PUBLIC_URL'], first.url)
  assert.match(seen['SEALING_KEYS'] ?? '', /^[0-9a-f]{8}:[\w-]{43}$/)
  const [key] = JSON.parse(seen['ASSERTION_KEYS'] ?? '') as [Record<string, string>]
  assert.deepEqual(Object.keys(key).sort(), ['crv', 'd', 'kid', 'kty', 'x', 'y'])
  const path = join(fixed.stateDir, 'keys.json')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.equal((await readFile(path, 'utf8')).includes('mine'), false)
  assert.equal((await readFile(join(fixed.stateDir, 'edge.capnp'), 'utf8')).includes('mine'), false)

  const second = await run(t, { ...fixed, vars: { PUBLIC_URL: 'https://edge.example' } })
  const again = JSON.parse(await text(`${second.url}/env`)) as Record<string, string>
  assert.equal(again['SEALING_KEYS'], seen['SEALING_KEYS'])
  assert.equal(again['ASSERTION_KEYS'], seen['ASSERTION_KEYS'])
  assert.notEqual(again['VAULT_KEYS'], 'mine')
  assert.equal(again['PUBLIC_URL'], 'https://edge.example')
})

test('a taken port, a folder in use and a broken Worker are said as they are', async (t) => {
  const fixed = await fixture(t)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0
  await assert.rejects(serve({ ...fixed, vars: {}, port }), (error: unknown) => {
    assert.ok(error instanceof Failure)
    assert.equal(error.message, `port ${port} on 127.0.0.1 is taken`)
    assert.match(error.hint ?? '', /--port/)
    return true
  })
  const served = await run(t, { ...fixed, vars: {} })
  await assert.rejects(serve({ ...fixed, vars: {} }), /in use by process/)
  assert.equal(await text(`${served.url}/healthz`), 'ok')
  const broken = await fixture(t, 'export default nonsense')
  await assert.rejects(serve({ ...broken, vars: {} }), /nonsense/)
})

test('the edge dies with its owner, even when that is killed, and leaves its folder usable', async (t) => {
  const fixed = await fixture(t)
  const program = `
    const { serve } = await import(${JSON.stringify(import.meta.resolve('./serve.ts'))})
    const served = await serve({ ...${JSON.stringify(fixed)}, vars: {} })
    console.log(served.pid)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(owner.stdout.setEncoding('utf8'), 'data')) as [string]
  const pid = Number(line)
  assert.ok(alive(pid))
  owner.kill('SIGKILL')
  await eventually(() => !alive(pid))
  assert.equal(alive(pid), false)
  await run(t, { ...fixed, vars: {} })
})

test('the command runs the real edge in the foreground and ends it on a signal', async (t) => {
  const main = join(import.meta.dirname, 'main.ts')
  const state = await folder(t)
  const argv = [main, 'serve', '--port', '0', '--state', state, '--var', 'OIDC_ISSUER']
  const env = { ...process.env, OIDC_ISSUER: 'https://login.example' }
  const command = spawn(process.execPath, argv, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  t.after(() => command.kill('SIGKILL'))
  let said = ''
  command.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
  const banner = /the edge is at (http:\S+) .*process (\d+)/
  for (let wait = 0; wait < 2400 && !banner.test(said) && command.exitCode === null; wait++) await sleep(50)
  const [, url, pid] = banner.exec(said) ?? []
  assert.ok(url !== undefined, said)
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
  command.kill('SIGTERM')
  const [code] = (await once(command, 'exit')) as [number | null]
  assert.equal(code, 0, said)
  assert.equal(alive(Number(pid)), false)
})

test('processes that need the same bundle at once share it', async () => {
  const [one, other] = await Promise.all([bundle(), bundle()])
  assert.equal(one, other)
  const names = await readdir(one)
  assert.ok(names.includes('worker.js') && names.includes('worker.json'))
})
