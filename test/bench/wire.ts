// One keep-alive HTTP/1.1 connection that has one request under way at a time: a virtual user's socket.
// Written on node:net because the load generator shares two cores with what it measures; it reads JSON bodies by length or by chunk.
import { connect } from 'node:net'
import type { Socket } from 'node:net'

export interface Answer {
  readonly status: number
  /** The header block as it came; `header` reads it. */
  readonly head: string
  readonly body: string
}

interface Waiting {
  resolve(answer: Answer): void
  reject(reason: Error): void
}

const END_OF_HEAD = '\r\n\r\n'
const MAX_BODY = 64 * 1024 * 1024

/** The value of one response header (its name in lower case), or undefined. */
export function header(head: string, name: string): string | undefined {
  const at = head.toLowerCase().indexOf(`\r\n${name}:`)
  if (at < 0) return undefined
  const start = at + name.length + 3
  const end = head.indexOf('\r\n', start)
  return head.slice(start, end < 0 ? undefined : end).trim()
}

/**
 * Reads one answer from the bytes received so far (latin1 text, so that indexes are byte offsets).
 * Returns undefined while bytes are missing; throws on a body that is neither sized nor chunked, or larger than 64 MiB.
 */
export function parse(bytes: string): Answer | undefined {
  const split = bytes.indexOf(END_OF_HEAD)
  if (split < 0) return undefined
  const head = bytes.slice(0, split)
  const status = Number(head.slice(9, 12))
  const start = split + END_OF_HEAD.length
  const length = header(head, 'content-length')
  if (length !== undefined) {
    const size = Number(length)
    if (!(size <= MAX_BODY)) throw new Error(`content-length ${length} is not a size up to ${MAX_BODY}`)
    return bytes.length < start + size ? undefined : { status, head, body: bytes.slice(start, start + size) }
  }
  if (status === 202 || status === 204) return { status, head, body: '' }
  if (header(head, 'transfer-encoding')?.toLowerCase() !== 'chunked')
    throw new Error('the answer is neither sized nor chunked')
  let body = ''
  for (let at = start; ;) {
    const line = bytes.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(bytes.slice(at, line), 16)
    if (!(body.length + size <= MAX_BODY)) throw new Error(`chunk size at byte ${at} is not a size up to ${MAX_BODY}`)
    const next = line + 2 + size + 2
    if (bytes.length < next) return undefined
    if (size === 0) return { status, head, body }
    body += bytes.slice(line + 2, line + 2 + size)
    at = next
  }
}

export class Wire {
  readonly #host: string
  readonly #port: number
  readonly #deadlineMs: number
  #socket: Socket | undefined
  #received: string[] = []
  #size = 0
  #wanted = 0
  #waiting: Waiting | undefined

  constructor(url: URL, deadlineMs = 20_000) {
    this.#host = url.hostname
    this.#port = Number(url.port)
    this.#deadlineMs = deadlineMs
  }

  /** Sends one whole request (head and body) and waits for its answer; fails after the deadline or when the connection breaks. */
  send(request: string): Promise<Answer> {
    if (this.#waiting !== undefined) return Promise.reject(new Error('a request is under way on this connection'))
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#received = []
      this.#size = 0
      this.#wanted = 0
      this.#open().write(request)
    })
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  #open(): Socket {
    if (this.#socket !== undefined && !this.#socket.destroyed) return this.#socket
    const socket = connect({ host: this.#host, port: this.#port, noDelay: true })
    socket.setEncoding('latin1')
    socket.setTimeout(this.#deadlineMs, () => {
      if (this.#waiting !== undefined) socket.destroy(new Error(`no answer within ${this.#deadlineMs} ms`))
    })
    socket.on('data', (chunk: string) => this.#take(chunk))
    socket.on('error', (error) => this.#fail(error))
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined
      this.#fail(new Error('the connection was closed before the answer was complete'))
    })
    this.#socket = socket
    return socket
  }

  #take(chunk: string): void {
    this.#received.push(chunk)
    this.#size += chunk.length
    if (this.#size < this.#wanted) return
    try {
      const bytes = this.#received.length === 1 ? chunk : this.#received.join('')
      const answer = parse(bytes)
      if (answer !== undefined) {
        const waiting = this.#waiting
        this.#waiting = undefined
        waiting?.resolve(answer)
        return
      }
      this.#received = [bytes]
      this.#wanted = expected(bytes)
    } catch (error) {
      this.#socket?.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #fail(error: Error): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.reject(error)
  }
}

/** How many bytes must be there before parsing again is worth it: the whole answer when its size is known. */
function expected(bytes: string): number {
  const split = bytes.indexOf(END_OF_HEAD)
  const length = split < 0 ? undefined : header(bytes.slice(0, split), 'content-length')
  return length === undefined ? 0 : split + END_OF_HEAD.length + Number(length)
}
