// Cuts text for a backend that caps a request: each piece stays below a number of bytes as it is sent, inside JSON.
// Invariant: pieces never split a surrogate pair, and joined they are the text.

const encoder = new TextEncoder()

/** Bytes of `text` as a JSON string in UTF-8. */
export function wireBytes(text: string): number {
  return encoder.encode(JSON.stringify(text)).byteLength
}

/** Pieces of `text` of at most `limit` wire bytes each; `limit` is at least 16. */
export function* pieces(text: string, limit: number): Generator<string> {
  let at = 0
  let units = limit
  while (at < text.length) {
    let piece = cut(text, at, units)
    while (wireBytes(piece) > limit) {
      units = Math.floor(piece.length / 2)
      piece = cut(text, at, units)
    }
    yield piece
    at += piece.length
    units = Math.min(limit, units * 2)
  }
}

function cut(text: string, at: number, units: number): string {
  const end = at + Math.max(units, 1)
  const last = text.charCodeAt(end - 1)
  const splits = end < text.length && last >= 0xd800 && last <= 0xdbff
  return text.slice(at, splits ? end + 1 : end)
}
