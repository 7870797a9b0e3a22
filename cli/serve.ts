// Runs the edge on plain workerd: one child process, its state on disk, ready when /healthz answers.
// The child never outlives its owner, and two children never share a state folder.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { join, relative, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type WorkerFacts, bundle } from './bundle.ts'
import { address, configure, environmentName } from './capnp.ts'
import { claim } from './claim.ts'
import { Failure, codeOf, messageOf } from './failure.ts'
import { keys } from './keys.ts'
import { leash } from './leash.ts'
import { eachLine } from './lines.ts'

const startDeadline = 30_000
const stopDeadline = 5_000

export interface ServeOptions {
  /** 0, the default: any free port. */
  port?: number
  /** Address to listen on, default 127.0.0.1. */
  host?: string
  /** Folder for keys, configuration and stored objects; made when missing. */
  stateDir: string
  /** Text bindings, see edge/env.ts. PUBLIC_URL defaults to the address listened on, keys to those in `stateDir`. */
  vars: Record<string, string>
  /** Gets each line that the Worker writes to stdout. */
  onLine?: (line: string) => void
  /** Gets each line of stderr; default: this process's stderr. */
  onErrorLine?: (line: string) => void
}

export interface Served {
  /** Where it listens, without a trailing slash. */
  url: string
  /** Process id of workerd. */
  pid: number
  /** Resolves when workerd has ended, for whatever reason, with what to say about it. */
  ended: Promise<string>
  /** Ends workerd: SIGTERM, after 5 s SIGKILL. */
  close(): Promise<void>
}

/** Starts the edge and waits until it answers. Throws a `Failure` that says what is wrong and what to do. */
export async function serve(options: ServeOptions): Promise<Served> {
  const stateDir = resolve(options.stateDir)
  const worker = await bundle()
  await mkdir(join(stateDir, 'objects'), { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new Failure(
      `cannot write to the state folder ${stateDir}: ${messageOf(error)}`,
      'choose another with --state',
    )
  })
  const held = await claim(stateDir)
  try {
    const vars = { ...options.vars, ...(await keys(stateDir, options.vars)) }
    for (let attempt = 0; ; attempt++) {
      const port = options.port === undefined || options.port === 0 ? await freePort(options.host) : options.port
      try {
        return await launch({ ...options, stateDir, worker, vars, port, held })
      } catch (error) {
        // Between choosing a free port and listening on it somebody else may take it.
        if (!(error instanceof PortTaken) || options.port === port || attempt > 4) throw error
      }
    }
  } catch (error) {
    await held.release()
    throw error
  }
}

class PortTaken extends Failure {}

interface Launch extends ServeOptions {
  port: number
  worker: string
  held: Awaited<ReturnType<typeof claim>>
}

async function launch(options: Launch): Promise<Served> {
  const { stateDir, worker, held, port, host = '127.0.0.1' } = options
  const url = `http://${address(reachable(host), port)}`
  const vars: Record<string, string> = { PUBLIC_URL: url, ...options.vars }
  const config = join(stateDir, 'edge.capnp')
  const facts = JSON.parse(await readFile(join(worker, 'worker.json'), 'utf8')) as WorkerFacts
  const text = configure({
    ...facts,
    host,
    port,
    modules: await modules(worker, stateDir),
    variables: Object.keys(vars),
    objects: join(stateDir, 'objects'),
    loopback: vars['ALLOW_LOOPBACK'] === 'true',
  })
  await writeFile(config, text, { mode: 0o600 })

  const child = spawn(executable(), ['serve', config, '--control-fd=3'], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: environment(vars),
  })
  const last: string[] = []
  eachLine(child.stdout, options.onLine ?? (() => {}))
  const onErrorLine = options.onErrorLine ?? ((line: string) => process.stderr.write(`${line}\n`))
  let started = false
  eachLine(child.stderr, (line) => {
    last.push(line)
    if (last.length > 40) last.shift()
    if (started) onErrorLine(line)
  })
  const ended = new Promise<string>((done) => {
    child.once('error', (error) => done(`workerd cannot be run: ${error.message}`))
    child.once('close', (code, signal) => done(`workerd ended (${signal ?? `exit code ${code}`})`))
  })
  const { pid } = child
  if (pid === undefined) throw new Failure(await ended, 'run `npm ci` in the project folder')
  const release = leash(pid)
  try {
    await held.assign(pid)
    await Promise.race([
      answer(child, url),
      ended.then((what) => {
        const said = last.join('\n')
        if (/Address already in use|os error 98|os error 48/.test(said)) {
          throw new PortTaken(
            `port ${port} on ${host} is taken`,
            'stop what listens there, or choose another with --port (0: any free one)',
          )
        }
        throw new Failure(`${what} before it listened:\n${said}`)
      }),
    ])
  } catch (error) {
    await stop(child, ended)
    release()
    if (error instanceof Failure) throw error
    throw new Failure(`the edge did not answer ${url}/healthz: ${messageOf(error)}\n${last.join('\n')}`)
  }
  started = true
  for (const line of last) onErrorLine(line)
  const tidy = ended.then(async (what) => {
    release()
    await held.release()
    return what
  })
  return {
    url,
    pid,
    ended: tidy,
    close: async () => {
      await stop(child, ended)
      await tidy
    },
  }
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

function executable(): string {
  // workerd is wrangler's dependency, so that both always fit each other.
  const fromWrangler = createRequire(createRequire(import.meta.url).resolve('wrangler/package.json'))
  const found: unknown = fromWrangler('workerd')
  if (typeof found === 'object' && found !== null && 'default' in found && typeof found.default === 'string') {
    return found.default
  }
  throw new Failure('workerd is not installed for this platform', 'run `npm ci` without --omit=optional')
}

/** What workerd may see of our environment: the system's certificates and the bindings, nothing else. */
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

async function modules(worker: string, from: string): Promise<{ name: string; path: string }[]> {
  const names = (await readdir(worker)).filter((name) => !/(?:\.map|\.md|^worker\.json)$/.test(name))
  // The first module is the Worker itself.
  names.sort((a, b) => Number(b === 'worker.js') - Number(a === 'worker.js') || (a < b ? -1 : 1))
  return names.map((name) => ({ name, path: relative(from, join(worker, name)) }))
}

function reachable(host: string): string {
  return host === '0.0.0.0' || host === '*' ? '127.0.0.1' : host === '::' ? '::1' : host
}

async function freePort(host = '127.0.0.1'): Promise<number> {
  const server = createServer()
  const port = await new Promise<number>((done, reject) => {
    server.once('error', reject)
    server.listen(0, host === '*' ? undefined : host, () => {
      const bound = server.address()
      done(typeof bound === 'object' && bound !== null ? bound.port : 0)
    })
  }).catch((error: unknown) => {
    throw new Failure(
      `cannot listen on ${host}: ${codeOf(error) ?? messageOf(error)}`,
      'choose an address of this machine with --host',
    )
  })
  await new Promise<void>((done) => server.close(() => done()))
  return port
}
