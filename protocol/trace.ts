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

/** `fresh` are 32 unpredictable hexadecimal digits. A malformed `traceparent` starts a new trace, as the specification demands. */
export function continueTrace(traceparent: string | null | undefined, fresh: string): Trace {
  const match = traceparent === null || traceparent === undefined ? null : TRACEPARENT.exec(traceparent)
  return { traceId: match?.[1] ?? fresh, spanId: fresh.slice(16), flags: match?.[2] ?? '01' }
}

export const traceparent = (trace: Trace): string => `00-${trace.traceId}-${trace.spanId}-${trace.flags}`
