// A process that is spoken to by lines. It sees of our environment only what it was given, and never outlives us.

import { spawn, type ChildProcess } from 'node:child_process'
import type { Readable } from 'node:stream'
import { leash } from './leash.ts'

/** Longest line of a process, in characters: a result with a picture is one line. */
const MAX_LINE = 24 * 1024 * 1024
const MAX_SAID = 2_000
const END_MS = 2_000

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string | undefined
}

export interface Listener {
  readonly message: (text: string) => void
  readonly said: (line: string) => void
  /** Called once. */
  readonly ended: (why: string) => void
}

const PASSED = ['PATH', 'HOME', 'LANG', 'TMPDIR', 'NODE_EXTRA_CA_CERTS', 'npm_config_cache'] as const

export class Child {
  readonly #process: ChildProcess
  readonly #exited: Promise<void>
  readonly #unleash: () => void
  #isOver = false

  constructor({ file, args, env, cwd }: Command, listener: Listener) {
    const passed = PASSED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))
    const child = spawn(file, args, {
      cwd,
      env: { ...Object.fromEntries(passed), ...env },
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#process = child
    this.#unleash = child.pid === undefined ? () => undefined : leash(child.pid)
    const exited = Promise.withResolvers<void>()
    this.#exited = exited.promise
    const over = (why: string): void => {
      if (this.#isOver) return
      this.#isOver = true
      this.#unleash()
      exited.resolve()
      listener.ended(why)
    }
    child.on('error', (error) => over(error.message))
    child.on('exit', (code, signal) => over(signal === null ? `exit code ${code}` : `signal ${signal}`))
    // A process that has gone does not read any more; its exit says so.
    child.stdin.on('error', () => undefined)
    lines(child.stdout, MAX_LINE, (line) => {
      if (line !== undefined) listener.message(line)
      else child.kill('SIGKILL')
    })
    lines(child.stderr, MAX_SAID, (line) => listener.said(line ?? 'a line that is too long'))
  }

  /** One message. Its text is one line: a line break between the parts of a JSON text says nothing. */
  write(text: string): void {
    if (!this.#isOver) this.#process.stdin?.write(`${text.replaceAll(/[\r\n]+/gu, ' ')}\n`)
  }

  /** Ends its input, then the process, then without asking. */
  async close(): Promise<void> {
    if (this.#isOver) return
    this.#process.stdin?.end()
    const gentle = setTimeout(() => this.#process.kill('SIGTERM'), END_MS)
    const rough = setTimeout(() => this.#process.kill('SIGKILL'), 2 * END_MS)
    await this.#exited
    clearTimeout(gentle)
    clearTimeout(rough)
  }
}

/** Calls back for every line; undefined for one that is longer than the limit. */
function lines(stream: Readable, limit: number, heard: (line: string | undefined) => void): void {
  let parts: string[] = []
  let size = 0
  stream.setEncoding('utf8')
  stream.on('error', () => undefined)
  stream.on('data', (chunk: string) => {
    let from = 0
    for (let at = chunk.indexOf('\n'); at >= 0; at = chunk.indexOf('\n', from)) {
      parts.push(chunk.slice(from, at))
      const line = parts.join('').trim()
      if (line !== '') heard(line.length > limit ? undefined : line)
      parts = []
      size = 0
      from = at + 1
    }
    const rest = chunk.slice(from)
    if (rest === '') return
    parts.push(rest)
    size += rest.length
    if (size <= limit) return
    parts = []
    size = 0
    heard(undefined)
  })
}
