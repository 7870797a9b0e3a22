// Bytes in pieces → lines. Linear in the input however it is cut, and never more than one line is held: of one that is too long the rest
// is passed over.

import { StringDecoder } from 'node:string_decoder'

export class Lines {
  readonly #limit: number
  readonly #heard: (line: string | undefined) => void
  readonly #decoder = new StringDecoder('utf8')
  #parts: string[] = []
  #size = 0
  #isTooLong = false

  /** `heard` gets every line that is not blank, without space around it; undefined for one of more than `limit` characters. */
  constructor(limit: number, heard: (line: string | undefined) => void) {
    this.#limit = limit
    this.#heard = heard
  }

  push(bytes: Buffer): void {
    const text = this.#decoder.write(bytes)
    let from = 0
    for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', from)) {
      this.#take(text.slice(from, at))
      this.#end()
      from = at + 1
    }
    this.#take(text.slice(from))
  }

  #take(part: string): void {
    if (part === '' || this.#isTooLong) return
    this.#parts.push(part)
    this.#size += part.length
    if (this.#size <= this.#limit) return
    this.#isTooLong = true
    this.#parts = []
    this.#heard(undefined)
  }

  #end(): void {
    const line = this.#parts.join('').trim()
    this.#parts = []
    this.#size = 0
    this.#isTooLong = false
    if (line !== '') this.#heard(line)
  }
}
