// The body of a server's answer as text, within a bound. What is large is kept in pieces and read through one buffer: neither
// all of its bytes nor one long string are ever held.

import { Bytes } from '../../protocol/bytes.ts'

/** Bodies below this are one text, in bytes. */
export const LARGE = 256 * 1024
/** Pieces have at least this many characters, save the last one. */
const MIN_PIECE = 32 * 1024

/** The text, in pieces where there is much of it; undefined, with the stream cancelled, once it has more than `limit` bytes. */
export async function readText(
  body: ReadableStream<Uint8Array>,
  limit: number,
): Promise<string | readonly string[] | undefined> {
  const bytes = new Bytes(body)
  const decoder = new TextDecoder()
  const pieces = new Pieces()
  let size = 0
  for (let chunk = await bytes.next(); chunk !== undefined; chunk = await bytes.next()) {
    size += chunk.length
    if (size > limit) {
      await bytes.cancel()
      return undefined
    }
    pieces.push(decoder.decode(chunk, { stream: true }))
    if (size >= LARGE) bytes.throughBuffer()
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
    if (this.#size >= MIN_PIECE) this.#close()
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
