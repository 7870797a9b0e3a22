// One workerd child process: started from a generated configuration, ready when /healthz answers, ended by its process id.
// It never outlives its owner, and it sees of our environment only its bindings and the system's certificates.

import { type ChildProcess, spawn } from 'node:child_process'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { WorkerFacts } from './bundle.ts'
import { configure, environmentName } from './capnp.ts'
import { Failure, messageOf } from './failure.ts'
import { leash } from '../agent/local/leash.ts'
import { eachLine } from './lines.ts'

const startDeadline = 30_000
const stopDeadline = 5_000
const portTaken = /Address already in use|os error (?:48|98)\b/

export interface Start {
  /** Folder of a built Worker, see bundle.ts. */
  worker: string
  /** Existing folder for the configuration and, in `objects/`, the stored objects. */
  stateDir: string
  host: string
  port: number
  /** Where /healthz is asked, without a trailing slash. */
  url: string
  vars: Readonly<Record<string, string>>
  onLine: (line: string) => void
  onErrorLine: (line: string) => void
}

export interface Running {
  pid: number
  /** Resolves when the process has ended, for whatever reason, with what to say about it. */
  ended: Promise<string>
  /** SIGTERM, after 5 s SIGKILL; resolves when the process has ended. */
  stop(): Promise<void>
}

/** The address is in use. */
export class PortTaken extends Failure {}

/** Starts workerd and waits until it answers (at most 30 s); throws a `Failure` with its stderr otherwise. */
export async function start(options: Start): Promise<Running> {
  const config = join(options.stateDir, 'edge.capnp')
  await writeFile(config, await configuration(options), { mode: 0o600 })
  const child = spawn(executable(), ['serve', config, '--control-fd=3'], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: environment(options.vars),
  })
  const ended = new Promise<string>((done) => {
    child.once('error', (error) => done(`workerd cannot be run: ${error.message}`))
    child.once('close', (code, signal) => done(`workerd ended (${signal ?? `exit code ${code}`})`))
  })
  const { pid } = child
  if (pid === undefined) throw new Failure(await ended, 'run `npm ci` in the project folder')
  const release = leash(pid)
  void ended.then(release)

  const held: string[] = []
  let started = false
  eachLine(child.stdout, options.onLine)
  eachLine(child.stderr, (line) => {
    if (started) options.onErrorLine(line)
    else if (held.push(line) > 40) held.shift()
  })
  try {
    await Promise.race([answer(child, options.url), ended.then((what) => refuse(what, held, options))])
  } catch (error) {
    await stop(child, ended)
    if (error instanceof Failure) throw error
    throw new Failure(`the edge does not answer ${options.url}/healthz: ${messageOf(error)}\n${held.join('\n')}`)
  }
  started = true
  for (const line of held) options.onErrorLine(line)
  return { pid, ended, stop: () => stop(child, ended) }
}

function refuse(what: string, said: string[], { host, port }: Start): never {
  const text = said.join('\n')
  if (portTaken.test(text)) {
    throw new PortTaken(
      `port ${port} on ${host} is taken`,
      'stop what listens there, or choose another with --port (0: any free one)',
    )
  }
  throw new Failure(`${what} before it answered:\n${text}`)
}

/** Resolves when the child says that it listens (so it is not somebody else who answers) and /healthz is 200. */
async function answer(child: ChildProcess, url: string): Promise<void> {
  const deadline = AbortSignal.timeout(startDeadline)
  await new Promise<void>((done, reject) => {
    deadline.addEventListener('abort', () => reject(new Error(`not listening after ${startDeadline / 1000} s`)))
    eachLine(child.stdio[3], (line) => line.includes('"listen"') && done())
  })
  let seen = 'no answer'
  while (!deadline.aborted) {
    try {
      const response = await fetch(`${url}/healthz`, {
        signal: AbortSignal.any([deadline, AbortSignal.timeout(5_000)]),
      })
      await response.body?.cancel()
      if (response.ok) return
      seen = `status ${response.status}`
    } catch (error) {
      seen = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error)
    }
    await sleep(50)
  }
  throw new Error(`${seen} after ${startDeadline / 1000} s`)
}

async function stop(child: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopDeadline)
  await ended
  clearTimeout(timer)
}

async function configuration({ worker, stateDir, host, port, vars }: Start): Promise<string> {
  const facts = JSON.parse(await readFile(join(worker, 'worker.json'), 'utf8')) as WorkerFacts
  const names = (await readdir(worker)).filter((name) => !/(?:\.map|\.md|^worker\.json)$/.test(name))
  // The first module is the Worker itself.
  names.sort((a, b) => Number(b === 'worker.js') - Number(a === 'worker.js') || (a < b ? -1 : 1))
  return configure({
    ...facts,
    host,
    port,
    modules: names.map((name) => ({ name, path: relative(stateDir, join(worker, name)) })),
    variables: Object.keys(vars),
    objects: join(stateDir, 'objects'),
    loopback: vars['ALLOW_LOOPBACK'] === 'true',
  })
}

function environment(vars: Readonly<Record<string, string>>): Record<string, string> {
  const env: Record<string, string> = {}
  for (const name of ['PATH', 'TZ', 'SSL_CERT_FILE', 'SSL_CERT_DIR']) {
    const value = process.env[name]
    if (value !== undefined) env[name] = value
  }
  for (const [name, value] of Object.entries(vars)) {
    if (value.includes('\0')) throw new Failure(`the value of ${name} contains a NUL character`, 'remove it')
    env[environmentName(name)] = value
  }
  return env
}

function executable(): string {
  // workerd is wrangler's dependency, so that both always fit each other.
  const fromWrangler = createRequire(createRequire(import.meta.url).resolve('wrangler/package.json'))
  const found: unknown = fromWrangler('workerd')
  if (typeof found === 'object' && found !== null && 'default' in found && typeof found.default === 'string') {
    return found.default
  }
  throw new Failure('workerd is not installed for this platform', 'run `npm ci` without --omit=optional')
}
