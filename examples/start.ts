// `npm start`: the demo world, a page that says how to use it, and then one line per call. Ends with Ctrl-C, SIGTERM, or when a
// part breaks; nothing is left running, whichever it was.

import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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

let ready = false
const early: string[] = []

/** Audit events become lines once the page is printed; anything else the edge says is shown only when the start fails. */
function onLine(line: string): void {
  const event = eventOf(line)
  if (event === undefined) early.push(line.slice(0, 500))
  else if (ready) console.log(narrate(event))
  if (early.length > 40) early.shift()
}

async function run(): Promise<number> {
  const stop = Promise.withResolvers<number>()
  let interrupted = 0
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    process.on(signal, () => {
      if (interrupted++ === 0) stop.resolve(code)
    })
  }
  const other = running()
  const starting = startWorld({ stateRoot, onLine, onStep: (step) => console.log(`  starting: ${step}`) })
  const world = await Promise.race([starting, stop.promise])
  if (typeof world === 'number') {
    await starting.then((late) => late.close()).catch(() => undefined)
    return world
  }

  const record = join(world.stateDir, 'start.json')
  const files = other === undefined ? [record, main] : [record]
  const about = JSON.stringify({ url: world.url, issuer: world.issuer, endpoint: world.endpoint, pid: process.pid })
  for (const file of files) writeFileSync(file, about, { mode: 0o600 })
  try {
    announce(world, other)
    ready = true
    const ending = await Promise.race([stop.promise, world.broken])
    if (typeof ending === 'string') {
      console.error(`\n${ending} Ending the rest; run npm start again.`)
      return 1
    }
    console.log('\nEnding everything.')
    // Ctrl-C is how this program is meant to end.
    return ending === 130 ? 0 : ending
  } finally {
    for (const file of files) rmSync(file, { force: true })
    await world.close()
  }
}

function announce(world: World, other: Running | undefined): void {
  const port = Number(new URL(world.url).port)
  const demo = other === undefined ? 'npm run demo' : `npm run demo -- ${world.url}`
  console.log(welcome(world, demoUsers, demo))
  if (other !== undefined) {
    console.log(`  Another start is running at ${other.url}; this one is beside it and has a state of its own.\n`)
  } else if (port !== defaultPorts.edge) {
    console.log(`  Port ${defaultPorts.edge} is taken, so the edge is at ${port}.\n`)
  }
  for (const server of world.missing) {
    console.log(`  No tools of the server "${server}" yet; they appear when it answers.\n`)
  }
}

try {
  process.exitCode = await run()
} catch (error) {
  console.error(`\nThe start failed: ${error instanceof Error ? error.message : String(error)}`)
  if (early.length > 0) console.error(`The edge said last:\n${early.slice(-10).join('\n')}`)
  process.exitCode = 1
}
