// A process that is spoken to by lines. It sees of our environment only what it was given, never outlives us, and takes with it whatever
// it started itself: it leads a process group of its own.

import { spawn, type ChildProcess } from 'node:child_process'
import { leash } from './leash.ts'
import { Lines } from './lines.ts'

/** Longest line of a process, in characters: a result with a picture is one line. */
const MAX_LINE = 24 * 1024 * 1024
/** What may wait for a process that does not read, in bytes. */
const MAX_UNREAD = 32 * 1024 * 1024
const MAX_SAID = 2_000
/** Lines for the log in so many milliseconds. */
const SAID_LINES = 50
const SAID_MS = 10_000
const END_MS = 2_000
/** For what a process wrote before it ended. */
const LAST_MS = 500

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string | undefined
}

export interface Listener {
  readonly message: (text: string) => void
  readonly said: (line: string) => void
  /** Called once, after everything else. */
  readonly ended: (why: string) => void
}

const PASSED = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'npm_config_cache'] as const

export class Child {
  readonly #process: ChildProcess
  readonly #ended: Promise<void>
  #why: string | undefined
  #isOver = false
  #closing: Promise<void> | undefined

  constructor({ file, args, env, cwd }: Command, listener: Listener) {
    const passed = PASSED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
    const child = spawn(file, args, {
      cwd,
      env: { ...Object.fromEntries(passed), ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    })
    this.#process = child
    const unleash = child.pid === undefined ? () => undefined : leash(-child.pid)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#ended = promise
    const over = (why: string): void => {
      if (this.#isOver) return
      this.#isOver = true
      unleash()
      resolve()
      listener.ended(this.#why ?? why)
    }
    child.on('error', (error) => child.pid === undefined && over(error.message))
    child.on('exit', (code, signal) => {
      this.#kill('SIGKILL')
      const why = signal === null ? `exit code ${code}` : `signal ${signal}`
      setTimeout(() => over(why), LAST_MS).unref()
      child.once('close', () => over(why))
    })
    // A process that has gone does not read any more; its exit says so.
    child.stdin.on('error', () => undefined)
    const messages = new Lines(MAX_LINE, (line) => {
      if (this.#isOver) return
      if (line !== undefined) return listener.message(line)
      this.#why = 'it wrote a line that is too long'
      this.#kill('SIGKILL')
    })
    const said = new Lines(MAX_SAID, sparingly(listener.said))
    child.stdout.on('error', () => undefined).on('data', (chunk: Buffer) => messages.push(chunk))
    child.stderr.on('error', () => undefined).on('data', (chunk: Buffer) => said.push(chunk))
  }

  /** One message; false when the process reads too slowly to be told more. Its text becomes one line: a line break between the parts of a JSON text says nothing. */
  write(text: string): boolean {
    const { stdin } = this.#process
    if (this.#isOver || stdin === null) return true
    if (stdin.writableLength + text.length > MAX_UNREAD) return false
    stdin.write(`${text.replaceAll(/[\r\n]+/gu, ' ')}\n`)
    return true
  }

  /** Ends its input, then the process, then without asking. Resolves when it has ended. */
  async close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    if (this.#isOver) return
    this.#process.stdin?.end()
    const gentle = setTimeout(() => this.#kill('SIGTERM'), END_MS)
    const rough = setTimeout(() => this.#kill('SIGKILL'), 2 * END_MS)
    await this.#ended
    clearTimeout(gentle)
    clearTimeout(rough)
  }

  /** The process and what it started. */
  #kill(signal: NodeJS.Signals): void {
    const { pid } = this.#process
    if (pid === undefined || this.#isOver) return
    try {
      process.kill(-pid, signal)
    } catch {
      // None of them is there any more.
    }
  }
}

/** A log for somebody who may have much to say: so many lines in a while, then how many more there were. */
function sparingly(said: (line: string) => void): (line: string | undefined) => void {
  let since = performance.now()
  let count = 0
  return (line) => {
    const now = performance.now()
    if (now - since > SAID_MS) {
      if (count > SAID_LINES) said(`(${count - SAID_LINES} lines left out)`)
      since = now
      count = 0
    }
    count += 1
    if (count <= SAID_LINES) said(line ?? '(a line that is too long)')
  }
}
