// A short, synchronous fingerprint (FNV-1a, 2 × 32 bit mixed to 24 bit of output). It marks names; it guards nothing.

/** Six hexadecimal digits. */
export function mark(text: string): string {
  return fingerprint(text).slice(0, 6)
}

/** Sixteen hexadecimal digits: tells whether two texts of ours differ. Not for input that an attacker may choose to collide. */
export function fingerprint(text: string): string {
  let a = 0x811c9dc5
  let b = 0x1000193
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    a = Math.imul(a ^ code, 0x01000193)
    b = Math.imul(b ^ code, 0x5bd1e995)
    b ^= b >>> 15
  }
  return (a >>> 0).toString(16).padStart(8, '0') + (b >>> 0).toString(16).padStart(8, '0')
}
