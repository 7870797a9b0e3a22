// One HTTP/1.1 connection to the edge, on bare sockets: it sends what no HTTP library would and reads whatever comes back.
// Every wait has a deadline; a connection that is in doubt is not used again.

import { connect } from 'node:net'
import type { Socket } from 'node:net'

/** How an exchange ended. `text` is the body as UTF-8, as far as it was read. */
export interface Outcome {
  readonly kind: 'answered' | 'streaming' | 'closed' | 'reset' | 'silent' | 'left'
  readonly status: number
  readonly head: string
  readonly text: string
  readonly milliseconds: number
}

export interface Sending {
  readonly bytes: string
  readonly ending?: 'fin' | 'leave' | undefined
  readonly pauseAt?: number | undefined
  readonly deadlineMs: number
  /** A HEAD request: the answer has no body, whatever its head says. */
  readonly bodiless: boolean
  /** Enough once it is true of what has come so far: the rest may never end. */
  readonly enough: (head: string, body: string) => boolean
  /** Told about everything that comes, even after the exchange is over. */
  readonly onText?: (body: string) => void
}

const MAX_READ = 32 * 1024 * 1024

/** The value of one response header (its name in lower case), or undefined. */
export function header(head: string, name: string): string | undefined {
  const at = head.toLowerCase().indexOf(`\r\n${name}:`)
  if (at < 0) return undefined
  const start = at + name.length + 3
  const end = head.indexOf('\r\n', start)
  return head.slice(start, end < 0 ? undefined : end).trim()
}

export class Wire {
  readonly #host: string
  readonly #port: number
  #socket: Socket | undefined
  /** An answer that has not ended still comes on it. */
  #streams = false

  constructor(url: URL) {
    this.#host = url.hostname
    this.#port = Number(url.port)
  }

  /** Sends one request on the open connection, or on a new one. Never rejects. */
  async exchange(sending: Sending): Promise<Outcome> {
    if (this.#streams || this.#socket?.destroyed === true) this.close()
    const kept = this.#socket !== undefined
    const outcome = await this.#once(sending)
    // A connection that was idle may have been closed just now; a new one tells whether it was that.
    if (kept && outcome.status === 0 && (outcome.kind === 'closed' || outcome.kind === 'reset')) {
      return this.#once(sending)
    }
    return outcome
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
    this.#streams = false
  }

  #once(sending: Sending): Promise<Outcome> {
    const started = performance.now()
    const socket = this.#socket ?? connect({ host: this.#host, port: this.#port, noDelay: true })
    this.#socket = socket
    const reader = new Reader(sending.bodiless)
    return new Promise((resolve) => {
      let over = false
      const finish = (kind: Outcome['kind'], usable: boolean): void => {
        if (over) return
        over = true
        clearTimeout(timer)
        if (kind === 'streaming') this.#streams = true
        else if (!usable) {
          if (this.#socket === socket) this.#socket = undefined
          socket.destroy()
        }
        if (kind !== 'streaming') socket.removeAllListeners('data').removeAllListeners('close')
        const { status, head } = reader
        resolve({ kind, status, head, text: utf8(reader.body), milliseconds: performance.now() - started })
      }
      const timer = setTimeout(() => finish('silent', false), sending.deadlineMs)
      // One listener for the life of the socket would do, but each exchange has its own end.
      socket.removeAllListeners('error').on('error', () => finish('reset', false))
      socket.on('close', () => finish(reader.status === 0 ? 'closed' : reader.atEnd(), false))
      socket.on('data', (chunk: Buffer) => {
        reader.take(chunk.toString('latin1'))
        sending.onText?.(reader.body)
        if (over) return
        if (reader.complete) finish('answered', reader.keepsAlive)
        else if (reader.status !== 0 && sending.enough(reader.head, reader.body)) finish('streaming', false)
        else if (reader.body.length > MAX_READ) finish('silent', false)
      })
      const { bytes, pauseAt } = sending
      const first = pauseAt === undefined ? bytes : bytes.slice(0, pauseAt)
      socket.write(first, 'latin1')
      const rest = (): void => {
        if (over || socket.destroyed) return
        if (first.length < bytes.length) socket.write(bytes.slice(first.length), 'latin1')
        if (sending.ending === 'fin') socket.end()
        if (sending.ending === 'leave') setTimeout(() => finish('left', false), 2)
      }
      if (pauseAt === undefined) rest()
      else setTimeout(rest, 10)
    })
  }
}

/** Reads one answer: sized, chunked, or until the connection ends. */
class Reader {
  status = 0
  head = ''
  body = ''
  complete = false
  readonly #bodiless: boolean
  #pending: string[] = []
  #size = 0
  #length: number | undefined
  #chunked = false

  constructor(bodiless: boolean) {
    this.#bodiless = bodiless
  }

  get keepsAlive(): boolean {
    return header(this.head, 'connection')?.toLowerCase() !== 'close' && (this.#chunked || this.#length !== undefined)
  }

  /** What the end of the connection makes of what was read. */
  atEnd(): 'answered' | 'reset' {
    return this.#chunked || (this.#length !== undefined && this.#size < this.#length) ? 'reset' : 'answered'
  }

  take(text: string): void {
    if (this.complete) return
    if (this.status === 0) {
      this.#pending.push(text)
      const all = this.#pending.join('')
      const split = all.indexOf('\r\n\r\n')
      if (split < 0) return
      this.head = all.slice(0, split)
      this.#pending = []
      const status = Number(/^HTTP\/1\.[01] (\d{3})/u.exec(this.head)?.[1] ?? 999)
      // 100 Continue and its like precede the answer.
      if (status < 200) {
        this.head = ''
        this.take(all.slice(split + 4))
        return
      }
      this.status = status
      const length = header(this.head, 'content-length')
      this.#length = length === undefined ? undefined : Number(length)
      this.#chunked = /chunked/iu.test(header(this.head, 'transfer-encoding') ?? '')
      if (this.#bodiless || status === 204 || status === 304) {
        this.#length = 0
        this.#chunked = false
      }
      this.#body(all.slice(split + 4))
    } else this.#body(text)
  }

  #body(text: string): void {
    if (this.#chunked) {
      this.#pending.push(text)
      this.#chunks()
      return
    }
    // What comes after is the answer to what the edge took for another request.
    this.body += text.slice(0, this.#length === undefined ? undefined : Math.max(0, this.#length - this.#size))
    this.#size += text.length
    if (this.#length !== undefined && this.#size >= this.#length) this.complete = true
  }

  #chunks(): void {
    const all = this.#pending.join('')
    let at = 0
    for (;;) {
      const line = all.indexOf('\r\n', at)
      if (line < 0) break
      const size = Number.parseInt(all.slice(at, line), 16)
      if (!Number.isFinite(size)) {
        // Shows as an answer that no server may give.
        this.status = 999
        this.complete = true
        return
      }
      if (all.length < line + 2 + size + 2) break
      if (size === 0) {
        this.complete = true
        return
      }
      this.body += all.slice(line + 2, line + 2 + size)
      at = line + 2 + size + 2
    }
    this.#pending = [all.slice(at)]
  }
}

const utf8 = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('utf8')
