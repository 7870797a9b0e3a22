// The body of a server's answer as text, within a bound. What is large is kept in pieces and read through one buffer: neither
// all of its bytes nor one long string are ever held.

/** Bodies below this are one text, in bytes. */
export const LARGE = 256 * 1024
const BUFFER = 64 * 1024

/** The text, in pieces where there is much of it; undefined, with the stream cancelled, once it has more than `limit` bytes. */
export async function readText(
  body: ReadableStream<Uint8Array>,
  limit: number,
): Promise<string | readonly string[] | undefined> {
  const decoder = new TextDecoder()
  const pieces = new Pieces()
  let source: Source = plain(body)
  for (let size = 0; ;) {
    const chunk = await source.next()
    if (chunk === undefined) break
    const before = size
    size += chunk.length
    if (size > limit) {
      await source.cancel()
      return undefined
    }
    pieces.push(decoder.decode(chunk, { stream: true }))
    if (before < LARGE && size >= LARGE) source = source.buffered()
  }
  pieces.push(decoder.decode())
  return pieces.end()
}

/** Texts put together until they are worth keeping apart, however small they come. */
class Pieces {
  readonly #kept: string[] = []
  #open: string[] = []
  #size = 0

  push(text: string): void {
    this.#open.push(text)
    this.#size += text.length
    if (this.#size >= BUFFER / 2) this.#close()
  }

  end(): string | readonly string[] {
    this.#close()
    const [only = ''] = this.#kept
    return this.#kept.length > 1 ? this.#kept : only
  }

  #close(): void {
    if (this.#size > 0) this.#kept.push(this.#open.length === 1 ? (this.#open[0] ?? '') : this.#open.join(''))
    this.#open = []
    this.#size = 0
  }
}

/** Where bytes come from; what `next` returns is good until it is called again. */
interface Source {
  next(): Promise<Uint8Array | undefined>
  cancel(): Promise<void>
  /** The same, through one buffer that is used again and again, where the stream allows that. */
  buffered(): Source
}

function plain(body: ReadableStream<Uint8Array>): Source {
  const reader = body.getReader()
  const source: Source = {
    next: async () => (await reader.read()).value,
    cancel: () => reader.cancel(),
    buffered: () => {
      reader.releaseLock()
      try {
        return throughBuffer(body.getReader({ mode: 'byob' }))
      } catch {
        return plain(body)
      }
    },
  }
  return source
}

function throughBuffer(reader: ReadableStreamBYOBReader): Source {
  let buffer = new ArrayBuffer(BUFFER)
  const source: Source = {
    next: async () => {
      const { done, value } = await reader.read(new Uint8Array(buffer))
      if (value !== undefined) ({ buffer } = value)
      return done ? undefined : value
    },
    cancel: () => reader.cancel(),
    buffered: () => source,
  }
  return source
}
