import assert from 'node:assert/strict'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { running } from '../test/alive.ts'
import { freePort } from '../test/port.ts'

const program = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const state = mkdtempSync(join(tmpdir(), 'waggle-start-'))
const env = { ...process.env, WAGGLE_STATE: state }
const started: Start[] = []
let base = 0

interface Start {
  child: ChildProcess
  url: string
  output(): string
}

/** Runs `npm start` without npm and waits for its page. */
async function start(port: number): Promise<Start> {
  const child = spawn(process.execPath, [program('start.ts'), '--port', String(port)], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const entry: Start = { child, url: '', output: () => output }
  started.push(entry)
  const deadline = Date.now() + 180_000
  while (!output.includes('Calls appear here')) {
    assert.ok(child.exitCode === null && Date.now() < deadline, `no page:\n${output}`)
    await sleep(100)
  }
  entry.url = /One endpoint\s+(http:\/\/[\d.:]+)/.exec(output)?.[1] ?? ''
  return entry
}

async function demo(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [program('demo.ts'), ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await once(child, 'close')
  return { code: child.exitCode, output }
}

/** All processes below one, itself included. */
function family(pid: number): number[] {
  const table = execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' })
  const pairs = table
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
  const found = [pid]
  for (const parent of found) {
    for (const [child, of] of pairs) if (of === parent && child !== undefined) found.push(child)
  }
  return found
}

async function leftovers(pids: number[]): Promise<number[]> {
  for (let wait = 0; wait < 600 && running(pids).length > 0; wait++) await sleep(100)
  return running(pids)
}

before(async () => {
  // A stretch of ports that nobody asks for by name.
  base = await freePort()
})
after(() => {
  for (const { child } of started) child.kill('SIGKILL')
  rmSync(state, { recursive: true, force: true })
})

test('without a start the demo says what to do and fails', async () => {
  const { code, output } = await demo()
  assert.equal(code, 1)
  assert.match(output, /npm start is not running/)
})

test(
  'start, demo, and a second start beside the first; ending leaves nothing behind',
  { timeout: 540_000 },
  async () => {
    const first = await start(base)
    assert.match(first.output(), /ada .*platform admin/)
    assert.match(first.output(), /claude mcp add --transport http waggle http:/)

    const tour = await demo()
    assert.equal(tour.code, 0, tour.output)
    assert.match(tour.output, /Everything happened as it should/)
    assert.match(first.output(), /ben .*tools\/call .*board_list_incidents/)
    assert.match(first.output(), /cleo .*tools\/call .*board_open_incident/)
    assert.match(first.output(), /ben .*tools\/call .*files_list_allowed_directories .*→ demo\/files.* ✓/)
    assert.ok(tour.output.includes(join(state, String(base), 'local', 'files')), 'the process itself answered')

    const second = await start(base)
    assert.notEqual(second.url, first.url)
    assert.match(second.output(), new RegExp(`Another start is running at ${first.url}`))
    const beside = await demo(new URL(second.url).port)
    assert.equal(beside.code, 0, beside.output)

    const secondFamily = family(second.child.pid ?? 0)
    second.child.kill('SIGINT')
    await once(second.child, 'close')
    assert.equal(second.child.exitCode, 0, second.output())
    assert.deepEqual(await leftovers(secondFamily), [])

    // A crash cannot tidy up; the parts notice by themselves that they are alone.
    const firstFamily = family(first.child.pid ?? 0)
    assert.ok(firstFamily.length >= 4, 'two servers and an edge run below it')
    first.child.kill('SIGKILL')
    assert.deepEqual(await leftovers(firstFamily), [])

    const again = await start(base)
    assert.equal(again.url, first.url, 'the port is free again')
    const [, ...children] = family(again.child.pid ?? 0)
    again.child.kill('SIGTERM')
    await once(again.child, 'close')
    assert.equal(again.child.exitCode, 143)
    assert.deepEqual(await leftovers(children), [])
  },
)
