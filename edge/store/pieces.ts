// Cuts text for a backend that caps a request: each piece stays below a number of bytes as it is sent, inside JSON.
// Invariant: pieces never split a surrogate pair, and joined they are the text.

const encoder = new TextEncoder()

/** Bytes of `text` within a JSON string in UTF-8, its quotes not counted. */
export function wireBytes(text: string): number {
  return encoder.encode(JSON.stringify(text)).byteLength - 2
}

/** Pieces of `text` of at most `limit` wire bytes each; `limit` is at least 12, what an escaped pair takes. */
export function* pieces(text: string, limit: number): Generator<string> {
  let at = 0
  let units = limit
  while (at < text.length) {
    let piece = cut(text, at, units)
    for (let bytes = wireBytes(piece); bytes > limit; bytes = wireBytes(piece)) {
      piece = cut(text, at, Math.floor((piece.length * limit) / bytes))
    }
    yield piece
    at += piece.length
    // The next piece is probably like this one; a little more lets the size recover after a dense stretch.
    units = Math.min(limit, Math.ceil(piece.length * 1.05) + 1)
  }
}

/** At most `units` UTF-16 units from `at`, one whole character at least. */
function cut(text: string, at: number, units: number): string {
  const end = at + Math.max(units, 1)
  const last = text.charCodeAt(end - 1)
  if (end >= text.length || last < 0xd800 || last > 0xdbff) return text.slice(at, end)
  return text.slice(at, end - 1 > at ? end - 1 : end + 1)
}
