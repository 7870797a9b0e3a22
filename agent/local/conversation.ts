// One session with a process over stdio. Requests get ids of our own on their way in, so that an answer finds its request whatever ids its
// callers choose, and one that comes too late finds nobody. What the process says meanwhile goes to the request whose progress it is, else to
// the youngest one under way, else to whoever listens.

import { decline } from '../../gateway/backend/handshake.ts'
import { Lru } from '../../gateway/lru.ts'
import { isObject, paramSpan, parseJson, toMessage, type Message } from '../../protocol/envelope.ts'
import { Fault } from '../../protocol/fault.ts'
import { edit, elements, slice } from '../../protocol/text.ts'
import type { Child } from './child.ts'
import { Outlet } from './outlet.ts'

const MAX_CALLS = 128
/** What may wait for readers who do not read, in bytes: then those streams end to which more is said. */
const MAX_WAITING = 32 * 1024 * 1024
const MAX_QUESTIONS = 128

interface Call {
  /** JSON text of the id that the caller gave. */
  readonly id: string
  readonly progress: string | undefined
  readonly outlet: Outlet
  /** To be called once it is answered. */
  readonly leave: (response: Message) => void
}

/** The way to a process: part of `Child`. */
export type Process = Pick<Child, 'write' | 'close'>

export class Conversation {
  readonly #process: Process
  readonly #server: string
  /** By the JSON text of the id that the process knows, the youngest last. */
  readonly #calls = new Map<string, Call>()
  /** Who was given each question of the process. */
  readonly #asked = new Lru<string, Outlet>(MAX_QUESTIONS)
  /** The ids that the process knows requests by, by those of their callers; also of such as were given up a moment ago. */
  readonly #ids = new Lru<string, string>(2 * MAX_CALLS)
  #listener: Outlet | undefined
  #count = 0
  #usedAt = performance.now()

  constructor(process: Process, server: string) {
    this.#process = process
    this.#server = server
  }

  /** How long nobody has wanted anything, in milliseconds. */
  get idleMs(): number {
    return this.#calls.size > 0 || this.#listener !== undefined ? 0 : performance.now() - this.#usedAt
  }

  /**
   * Passes a message on. A request is answered by a stream that ends with its response; `left` is called when nobody waits for it any more,
   * with the response if there was one. Throws `Fault` `backend_overloaded`, or the signal's reason.
   */
  post(message: Message, signal: AbortSignal | undefined, left?: (response: Message | undefined) => void): Response {
    this.#usedAt = performance.now()
    const { id } = message
    if (message.kind !== 'request' || id === undefined) {
      const text = this.#inward(message)
      if (text !== undefined) this.#write(text)
      return new Response(null, { status: 202 })
    }
    signal?.throwIfAborted()
    if (this.#calls.size >= MAX_CALLS) throw this.#overloaded('has too many calls in flight')
    this.#count += 1
    const own = String(this.#count)
    const span = message.spans.get('id')
    const text = span === undefined ? message.text : edit(message.text, [{ ...span, text: own }])
    this.#write(text)
    const leave = (response?: Message): void => {
      if (!this.#calls.delete(own)) return
      this.#usedAt = performance.now()
      left?.(response)
    }
    const outlet = new Outlet(signal, leave)
    this.#calls.set(own, { id, progress: progressOf(message), outlet, leave })
    this.#ids.set(idKey(id), own)
    return outlet.response
  }

  /** What belongs to no request. One listener at a time: whoever comes later takes over. */
  listen(signal: AbortSignal | undefined): Response {
    const before = this.#listener
    const outlet: Outlet = new Outlet(signal, () => {
      if (this.#listener === outlet) this.#listener = undefined
      this.#usedAt = performance.now()
    })
    if (!outlet.isOver) this.#listener = outlet
    before?.end()
    return outlet.response
  }

  /** The process wrote a line. What is no message is nobody's. */
  heard(text: string): void {
    try {
      const value = parseJson(text)
      // Revision 2025-03-26 has batches.
      if (!Array.isArray(value)) return this.#outward(toMessage(value, text))
      for (const [index, span] of elements(text).entries())
        this.#outward(toMessage(value[index] ?? null, slice(text, span)))
    } catch (error) {
      if (!(error instanceof Fault)) throw error
    }
  }

  /** The process is gone: whoever waits learns it at once. */
  ended(fault: Fault): void {
    for (const { outlet } of this.#calls.values()) outlet.end(fault)
    this.#listener?.end(fault)
  }

  async close(): Promise<void> {
    await this.#process.close()
  }

  #outward(message: Message): void {
    if (message.kind === 'response') {
      const call = this.#calls.get(message.id ?? '')
      const span = message.spans.get('id')
      if (call === undefined || span === undefined) return
      this.#put(call.outlet, edit(message.text, [{ ...span, text: call.id }]))
      call.leave(message)
      call.outlet.end()
      return
    }
    const to = this.#readerOf(message)
    if (message.kind === 'request') {
      if (message.method === 'ping' || to === undefined) return void this.#process.write(decline(message))
      this.#asked.set(idKey(message.id ?? 'null'), to)
    }
    if (to !== undefined) this.#put(to, message.text)
  }

  #readerOf({ method, params }: Message): Outlet | undefined {
    const calls = [...this.#calls.values()]
    if (method === 'notifications/progress') {
      const token = JSON.stringify(params['progressToken'])
      return calls.find(({ progress }) => progress === token)?.outlet
    }
    if (method === 'notifications/cancelled') {
      const asked = this.#asked.get(JSON.stringify(params['requestId'] ?? null))
      return asked?.isOver === false ? asked : this.#listener
    }
    const isAbroad = /^notifications\/(?:(?:tools|prompts|resources)\/list_changed|resources\/updated)$/u.test(method)
    return isAbroad ? this.#listener : (calls.at(-1)?.outlet ?? this.#listener)
  }

  /** A message that is no request, as the process knows what it is about; undefined: it concerns none of its requests. */
  #inward(message: Message): string | undefined {
    if (message.method !== 'notifications/cancelled') return message.text
    const span = paramSpan(message, 'requestId')
    const own = span === undefined ? undefined : this.#ids.get(idKey(slice(message.text, span)))
    return span === undefined || own === undefined ? undefined : edit(message.text, [{ ...span, text: own }])
  }

  #put(outlet: Outlet, text: string): void {
    outlet.put(text)
    const waiting = [...this.#calls.values()].reduce((sum, call) => sum + call.outlet.waiting, 0)
    if (waiting + (this.#listener?.waiting ?? 0) <= MAX_WAITING) return
    outlet.end(fault('backend_protocol', this.#server, 'says more than is read'))
  }

  #write(text: string): void {
    if (!this.#process.write(text)) throw this.#overloaded('does not read what it is sent')
  }

  #overloaded(what: string): Fault {
    return fault('backend_overloaded', this.#server, what, 1)
  }
}

function fault(reason: 'backend_protocol' | 'backend_overloaded', server: string, what: string, after?: number): Fault {
  const data = { server, ...(after !== undefined && { retryAfterSeconds: after }) }
  return new Fault(reason, `Server ${server} ${what}.`, { data })
}

function progressOf({ params }: Message): string | undefined {
  const meta = params['_meta']
  const token = isObject(meta) ? meta['progressToken'] : undefined
  return token === undefined ? undefined : JSON.stringify(token)
}

/** Ids that are the same value are the same id, however they are spelled. */
const idKey = (id: string): string => JSON.stringify(JSON.parse(id))
