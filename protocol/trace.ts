// W3C Trace Context: continue the caller's trace or start one (https://www.w3.org/TR/trace-context/).

export interface Trace {
  readonly traceId: string
  /** Our own span: parent of what we call. */
  readonly spanId: string
  readonly flags: string
}

/** Versions after 00 may append fields; ff is none; neither id may be all zeros. */
const TRACEPARENT =
  /^(?!ff)(?:00(?=.{53}$)|(?!00)[0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?$/u

/** `random` is 24 bytes at least. A malformed `traceparent` starts a new trace, as the specification demands. */
export function continueTrace(traceparent: string | null | undefined, random: Uint8Array): Trace {
  const match = traceparent === null || traceparent === undefined ? null : TRACEPARENT.exec(traceparent)
  return {
    traceId: match?.[1] ?? hex(random.subarray(0, 16)),
    spanId: hex(random.subarray(16, 24)),
    flags: match?.[2] ?? '01',
  }
}

export const traceparent = (trace: Trace): string => `00-${trace.traceId}-${trace.spanId}-${trace.flags}`

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function hex(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += HEX[byte]
  return text
}

/** A version 4 UUID (RFC 9562) from 16 random bytes. */
export function uuid(random: Uint8Array): string {
  const bytes = random.slice(0, 16)
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
  const text = hex(bytes)
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`
}
