// A real redis-server for tests: on loopback, on a free port, in memory only, ended by close().
// On Debian as root a missing one is installed from redis-tools, which has the server's program but no service:
// nothing is started at boot and port 6379 stays free.

import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from './port.ts'

interface RedisCommand {
  readonly file: string
  /** Debian builds server, checker and client tools as one program that looks at the name it is called by. */
  readonly argv0: string
}

const START_MS = 60_000
const STOP_MS = 3000
const UPDATE_MS = 120_000
const INSTALL_MS = 240_000
const HOW =
  'install redis-server 6.2 or newer (Debian and Ubuntu: apt-get install redis-server, macOS: brew install redis)'

/** Finds redis-server, or installs it where that is possible. Throws an Error that says what to install. */
export async function ensureRedis(): Promise<RedisCommand> {
  const found = await findRedis()
  if (found !== null) return found
  const apt = await findProgram('apt-get')
  if (apt === null || process.getuid?.() !== 0) throw new Error(`redis-server is not on the PATH: ${HOW}`)
  // The package lists may be stale or absent; a mirror that cannot be reached must not hide a package that is cached.
  const updated = await run(apt, ['update', '-q'], UPDATE_MS)
  const installed = await run(
    apt,
    ['install', '-y', '-q', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=120', 'redis-tools'],
    INSTALL_MS,
  )
  const now = await findRedis()
  if (now !== null) return now
  throw new Error(`redis-server could not be installed by apt-get: ${HOW}\n${updated}${installed}`.trimEnd())
}

/** Starts redis-server on 127.0.0.1. Throws an Error with its last output when it does not answer within 10 s. */
export async function startRedis(options: { port?: number } = {}): Promise<{ port: number; close(): Promise<void> }> {
  const command = await ensureRedis()
  const port = options.port ?? (await freePort())
  const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--daemonize', 'no']
  const child = spawn(command.file, settings, { argv0: command.argv0, stdio: ['ignore', 'pipe', 'pipe'], cwd: '/' })
  const output = tail(child)
  const deadline = Date.now() + START_MS
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop(child)
      throw new Error(`redis-server does not answer on 127.0.0.1:${port}\n${output()}`)
    }
    await sleep(20)
  }
  return { port, close: () => stop(child) }
}

async function findRedis(): Promise<RedisCommand | null> {
  const server = await findProgram('redis-server')
  if (server !== null) return { file: server, argv0: 'redis-server' }
  const checker = await findProgram('redis-check-rdb')
  return checker === null ? null : { file: checker, argv0: 'redis-server' }
}

async function findProgram(name: string): Promise<string | null> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const file = join(folder, name)
    if (
      await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return file
  }
  return null
}

/** Runs a program to its end; returns the last of what it printed, and ends it when it takes too long. */
async function run(file: string, args: readonly string[], milliseconds: number): Promise<string> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: milliseconds, env })
  const output = tail(child)
  await new Promise<void>((resolve) => {
    child.once('error', () => resolve())
    child.once('close', () => resolve())
  })
  return child.exitCode === 0 ? '' : `${file} ${args[0] ?? ''}: ${output()}\n`
}

function tail(child: ChildProcess): () => string {
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (more: string) => {
      text = (text + more).slice(-2000)
    })
  }
  child.on('error', (error) => {
    text = (text + error.message).slice(-2000)
  })
  return () => text
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGTERM')
  const hard = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await ended
  clearTimeout(hard)
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const end = (yes: boolean): void => {
      socket.destroy()
      resolve(yes)
    }
    socket.setTimeout(1000, () => end(false))
    socket.once('error', () => end(false))
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (data) => end(data.toString().startsWith('+PONG')))
  })
}
