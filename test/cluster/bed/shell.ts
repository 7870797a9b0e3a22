// Running other programs, and waiting for what they bring about.
import { spawn, spawnSync } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'

interface Options {
  readonly input?: string
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

const POLL_MS = 50
const NEWS_MS = 30_000

/** Runs a program to its end and returns what it printed. Throws, with its complaint, when it fails. */
export function run(command: readonly string[], options: Options = {}): string {
  const [file = '', ...args] = command
  const { env, ...rest } = options
  const { status, signal, stdout, stderr, error } = spawnSync(file, args, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...process.env, ...env },
    ...rest,
  })
  if (error !== undefined) throw error
  if (status !== 0) throw new Error(`${command.join(' ')}: ${signal ?? status}\n${stderr}`)
  return stdout
}

/** As `run`, while others of this process go on. Ends the program after `seconds`. */
export async function perform(command: readonly string[], options: Options = {}, seconds = 300): Promise<string> {
  const [file = '', ...args] = command
  const { env, input, cwd } = options
  const child = spawn(file, args, {
    env: { ...process.env, ...env },
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
    ...(cwd !== undefined && { cwd }),
  })
  child.stdin.on('error', () => {}).end(input)
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(`${signal ?? code}`))
  })
  const [said, complaint, end] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (end !== '0') throw new Error(`${command.join(' ')}: ${end}\n${complaint}`)
  return said
}

/** Whether a program succeeds; for commands whose failure means that there was nothing to do. */
export function attempt(command: readonly string[]): boolean {
  try {
    run(command)
    return true
  } catch {
    return false
  }
}

/** Runs a program that takes minutes, and says on stderr every 30 s that it still runs. Throws with the last of its output. */
export async function patiently(
  what: string,
  command: readonly string[],
  milliseconds: number,
  options: Omit<Options, 'input'> = {},
): Promise<void> {
  const [file = '', ...args] = command
  const begin = Date.now()
  console.error(`${what} …`)
  const news = setInterval(() => console.error(`${what}: ${Math.round((Date.now() - begin) / 1000)} s`), NEWS_MS)
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: milliseconds,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (more: string) => {
      output = (output + more).slice(-4000)
    })
  const ended = await new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message))
    child.once('close', (code, signal) => resolve(`${signal ?? code}`))
  })
  clearInterval(news)
  if (ended !== '0') throw new Error(`${what}: ${file} ended with ${ended}\n${output}`)
}

/** Asks every 50 ms until the answer is neither false nor undefined nor a throw; gives up after `seconds`: a slow machine waits, it does not fail. */
export async function until<T>(
  what: string,
  ask: () => T | Promise<T>,
  seconds = 120,
): Promise<Exclude<T, false | undefined>> {
  const end = Date.now() + seconds * 1000
  for (let reason: unknown = 'it never was'; ;) {
    try {
      const answer = await ask()
      if (answer !== false && answer !== undefined) return answer as Exclude<T, false | undefined>
    } catch (error) {
      reason = error
    }
    if (Date.now() > end) throw new Error(`waited ${seconds} s for ${what}: ${String(reason)}`, { cause: reason })
    await sleep(POLL_MS)
  }
}
