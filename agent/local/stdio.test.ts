import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../../protocol/fault.ts'
import { running } from '../../test/alive.ts'
import type { Command } from './child.ts'
import { StdioServer } from './stdio.ts'

/** A program that answers `initialize`, and then does as the source says with each `message`. */
const program = (source = ''): Command => ({
  file: process.execPath,
  args: [
    '-e',
    `const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n')
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
      const message = JSON.parse(line)
      if (message.method === 'initialize') return say({ id: message.id, result: { pid: process.pid } })
      ${source}
    })`,
  ],
  env: {},
  cwd: undefined,
})
const broken: Command = { ...program(), args: ['-e', 'console.error("no licence"); process.exit(3)'] }

const servers: StdioServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
})

function serverOf(command: Command, said: string[] = []): StdioServer {
  const server = new StdioServer({ server: 'demo/one', command, said: (line) => said.push(line) })
  servers.push(server)
  return server
}

async function post(server: StdioServer, method: string, session?: string, signal?: AbortSignal): Promise<Response> {
  return server.fetch('http://process/', {
    method: 'POST',
    headers: session === undefined ? {} : { 'mcp-session-id': session },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method }),
    ...(signal !== undefined && { signal }),
  })
}

async function open(server: StdioServer): Promise<{ session: string; pid: number }> {
  const response = await post(server, 'initialize')
  const pid = Number(/"pid":(\d+)/u.exec(await response.text())?.[1])
  return { session: response.headers.get('mcp-session-id') ?? '', pid }
}

async function gone(pid: number): Promise<void> {
  for (let wait = 0; wait < 600 && running([pid]).length > 0; wait += 1) await sleep(50)
  assert.deepEqual(running([pid]), [])
}

const unavailable = (error: unknown): boolean => error instanceof Fault && error.reason === 'backend_unavailable'

describe('sessions', () => {
  test('every session has a process of its own, which ends with it', async () => {
    const server = serverOf(program())
    const [one, two] = [await open(server), await open(server)]
    assert.notEqual(one.pid, two.pid)
    const headers = { 'mcp-session-id': one.session }
    assert.equal((await server.fetch('http://process/', { method: 'DELETE', headers })).status, 204)
    await gone(one.pid)
    assert.deepEqual(running([two.pid]), [two.pid])
    assert.equal((await post(server, 'ping', one.session)).status, 404)
  })

  test('a seventeenth session finds no place while sixteen are fresh', async () => {
    const server = serverOf(program())
    await Promise.all(Array.from({ length: 16 }, async () => open(server)))
    await assert.rejects(open(server), (error) => error instanceof Fault && error.reason === 'backend_overloaded')
  })

  test('a caller who leaves during the handshake leaves no process', async () => {
    const silent = { ...program(), args: ['-e', 'process.stdin.resume(); console.error(process.pid)'] }
    const said: string[] = []
    const server = serverOf(silent, said)
    const left = new AbortController()
    const response = await post(server, 'initialize', undefined, left.signal)
    while (said.length === 0) await sleep(20)
    left.abort()
    await assert.rejects(response.text())
    await gone(Number(said[0]))
  })
})

describe('a process that ends', () => {
  test('calls under way fail at once, typed, and the next session has another', async () => {
    const server = serverOf(program())
    const { session, pid } = await open(server)
    const response = await post(server, 'tools/call', session)
    process.kill(pid, 'SIGKILL')
    await assert.rejects(response.text(), unavailable)
    assert.equal((await post(server, 'tools/call', session)).status, 404)
    assert.notEqual((await open(server)).pid, pid)
  })

  test('what it wrote before it ended is read', async () => {
    const server = serverOf(program(`say({ id: message.id, result: { is: 'last' } }); process.exit(0)`))
    const { session } = await open(server)
    assert.match(await (await post(server, 'tools/call', session)).text(), /"is":"last"/u)
  })

  test('one that ends at its start is not started again and again', async () => {
    const said: string[] = []
    const server = serverOf(broken, said)
    await assert.rejects((await post(server, 'initialize')).text(), unavailable)
    await Promise.all(Array.from({ length: 20 }, async () => assert.rejects(post(server, 'initialize'), unavailable)))
    assert.deepEqual(said, ['no licence', '(the process ended before it answered: exit code 3)'])
    await sleep(550)
    await assert.rejects((await post(server, 'initialize')).text(), unavailable)
    assert.equal(said.length, 4, 'once more after a pause')
  })

  test('a program that does not exist fails typed', async () => {
    const server = serverOf({ ...program(), file: '/nowhere/program' })
    await assert.rejects((await post(server, 'initialize')).text(), unavailable)
  })

  test('takes what it started with it', async () => {
    const source = `const child = require('node:child_process').spawn('sleep', ['100'], { stdio: 'inherit' })
      say({ id: message.id, result: { pid: child.pid } })`
    const server = serverOf(program(source))
    const { session, pid } = await open(server)
    const text = await (await post(server, 'tools/call', session)).text()
    process.kill(pid, 'SIGKILL')
    await gone(Number(/"pid":(\d+)/u.exec(text)?.[1]))
  })

  test('one that does not want to end is ended', { timeout: 120_000 }, async () => {
    const server = serverOf(program(`process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000)`))
    const { session, pid } = await open(server)
    await post(server, 'tools/call', session)
    await sleep(200)
    await server.close()
    assert.deepEqual(running([pid]), [])
    await assert.rejects(post(server, 'initialize'), unavailable)
  })
})

describe('hostile output', () => {
  test('a line without an end ends the process, and its calls', { timeout: 240_000 }, async () => {
    const server = serverOf(program(`const x = 'x'.repeat(1 << 20); setInterval(() => process.stdout.write(x), 0)`))
    const { session, pid } = await open(server)
    await assert.rejects((await post(server, 'tools/call', session)).text(), (error) => {
      return unavailable(error) && (error as Fault).detail === 'it wrote a line that is too long'
    })
    await gone(pid)
  })

  test('the log gets so many lines and not more', async () => {
    const said: string[] = []
    const flood = `for (let n = 0; n < 5000; n += 1) process.stderr.write('line\\n'); say({ id: message.id, result: {} })`
    const server = serverOf(program(flood), said)
    const { session } = await open(server)
    await (await post(server, 'tools/call', session)).text()
    for (let wait = 0; wait < 600 && said.length < 50; wait += 1) await sleep(50)
    await sleep(200)
    assert.equal(said.length, 50)
  })
})

test('a process sees of our environment what it was given, and no more', async () => {
  process.env['A_SECRET_OF_OURS'] = 'x'
  const server = serverOf({
    ...program(`say({ id: message.id, result: Object.keys(process.env) })`),
    env: { GIVEN: 'yes' },
  })
  const { session } = await open(server)
  const text = await (await post(server, 'tools/call', session)).text()
  delete process.env['A_SECRET_OF_OURS']
  assert.match(text, /"GIVEN"/u)
  assert.doesNotMatch(text, /A_SECRET_OF_OURS/u)
})
