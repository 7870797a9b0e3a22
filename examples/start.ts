// `npm start`: the demo world, a page that says how to use it, and then one line per call. Ends with Ctrl-C, SIGTERM, or when a
// part breaks; nothing is left running, whichever it was.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { Failure } from '../cli/failure.ts'
import { eventOf, narrate } from './narrate.ts'
import { defaultPorts } from './manifests.ts'
import { demoUsers } from './users.ts'
import { welcome } from './welcome.ts'
import { startWorld, type World } from './world.ts'

const stateRoot = process.env['WAGGLE_STATE'] ?? '.waggle'
const main = join(stateRoot, 'start.json')

interface Running {
  url: string
  pid: number
}

/** The start that `npm run demo` finds by itself, if it is still alive. */
function running(): Running | undefined {
  try {
    const found = JSON.parse(readFileSync(main, 'utf8')) as Running
    process.kill(found.pid, 0)
    return found
  } catch {
    return undefined
  }
}

const early: string[] = []
let ready = false
let interrupted: 'SIGINT' | 'SIGTERM' | 'SIGHUP' | undefined

/** Audit events become lines once the page is printed; what else the edge says is shown then, or when the start fails. */
function onLine(line: string): void {
  const event = eventOf(line)
  if (!ready) {
    if (event === undefined) early.push(line.slice(0, 500))
    if (early.length > 20) early.shift()
  } else console.log(event === undefined ? `edge: ${line.slice(0, 500)}` : narrate(event))
}

/** Settles with the first signal that asks to end. A second Ctrl-C gives up waiting; leashes end what is left. */
function signalled(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        if (interrupted !== undefined) process.exit(1)
        interrupted = signal
        resolve()
      })
    }
  })
}

/** The exit code. */
async function run(wanted: number): Promise<number> {
  const ending = signalled()
  const other = running()
  const onStep = (step: string) => console.log(`  starting: ${step}`)
  const world = await startWorld({ port: wanted, stateRoot, onLine, onStep })
  const record = join(world.stateDir, 'start.json')
  const files = other === undefined ? [record, main] : [record]
  try {
    if (interrupted !== undefined) return exitCode()
    const about = JSON.stringify({ url: world.url, issuer: world.issuer, endpoint: world.endpoint, pid: process.pid })
    for (const file of files) writeFileSync(file, about, { mode: 0o600 })
    announce(world, wanted, other)
    ready = true
    const broken = await Promise.race([ending, world.broken])
    // Ctrl-C reaches every process of the terminal at once, so a part may be gone a moment before we hear of it.
    if (broken !== undefined) await sleep(300)
    if (broken !== undefined && interrupted === undefined) {
      console.error(`\n${broken} Ending the rest; run npm start again.`)
      return 1
    }
    console.log('\nEnding everything.')
    return exitCode()
  } finally {
    ready = false
    for (const file of files) rmSync(file, { force: true })
    await world.close()
  }
}

/** Ctrl-C is how this program is meant to end; other signals end it as they end any program. */
function exitCode(): number {
  return interrupted === 'SIGTERM' ? 143 : interrupted === 'SIGHUP' ? 129 : 0
}

function announce(world: World, wanted: number, other: Running | undefined): void {
  const port = Number(new URL(world.url).port)
  const demo = other === undefined ? 'npm run demo' : `npm run demo -- ${port}`
  console.log(welcome(world, demoUsers, demo))
  if (other !== undefined) {
    console.log(`  Another start is running at ${other.url}; this one is beside it, with a state of its own.\n`)
  } else if (port !== wanted) {
    console.log(`  Port ${wanted} is taken, so the edge is at ${port}.\n`)
  }
  for (const server of world.missing) {
    console.log(`  No tools of the server "${server}" yet; they appear when it answers.\n`)
  }
}

try {
  const { port } = parseArgs({ options: { port: { type: 'string', default: String(defaultPorts.edge) } } }).values
  if (!/^\d{4,5}$/.test(port) || Number(port) > 65_000) throw new Error('--port must be a number from 1000 to 65000')
  process.exitCode = await run(Number(port))
} catch (error) {
  if (interrupted === undefined) {
    console.error(`\nThe start failed: ${error instanceof Error ? error.message : String(error)}`)
    if (error instanceof Failure && error.hint !== undefined) console.error(`What to do: ${error.hint}`)
    if (early.length > 0) console.error(`The edge said last:\n${early.slice(-10).join('\n')}`)
    process.exitCode = 1
  } else process.exitCode = exitCode()
}
