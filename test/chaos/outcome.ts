// How a call ended, and whether that is acceptable. Pure: the same call, the same faults, the same verdict.

export type Outcome =
  /** The text of the tool's answer. */
  | { readonly kind: 'result'; readonly text: string; readonly isError: boolean }
  /** A JSON-RPC error; `reason` is `error.data.reason`. */
  | { readonly kind: 'refused'; readonly status: number; readonly code: number; readonly reason: string | undefined }
  /** The connection ended without an answer. */
  | { readonly kind: 'lost'; readonly what: string }
  /** Nothing happened until the caller's deadline. */
  | { readonly kind: 'hung' }
  /** The caller left, as it meant to. */
  | { readonly kind: 'left' }

/** A call as its caller saw it; times are `performance.now()`. */
export interface Attempt {
  readonly key: string
  readonly tool: 'work' | 'ask'
  readonly from: number
  readonly until: number
  readonly outcome: Outcome
  /** A library waits for its deadline when its stream breaks: only then it may seem to hang. */
  readonly library: boolean
}

export interface Faults {
  /** When no edge was running. */
  readonly downs: readonly { readonly from: number; readonly until: number }[]
  /** When the caller's own connections were cut. */
  readonly cuts: readonly number[]
  /** Faults of any kind happened between these two. */
  readonly stormy: { readonly from: number; readonly until: number }
}

export type Verdict =
  | { readonly kind: 'ok' }
  /** A failure that names its reason, or whose cause the caller knows. */
  | { readonly kind: 'failed'; readonly why: string }
  /** A failure that must not happen. */
  | { readonly kind: 'problem'; readonly why: string }

/** Clocks of proxy, process and caller are one, but the news of a cut takes a moment. */
const SLACK_MS = 1_000
/** How long a fault may go on having consequences: silence of a server is bounded by the call's timeout. */
const AFTERMATH_MS = 30_000

export function judge({ key, tool, from, until, outcome, library }: Attempt, faults: Faults): Verdict {
  const stormy = from < faults.stormy.until + AFTERMATH_MS && until > faults.stormy.from
  const excused = (why: string): Verdict =>
    stormy ? { kind: 'failed', why } : { kind: 'problem', why: `${why}, without any fault` }
  switch (outcome.kind) {
    case 'left':
      return { kind: 'ok' }
    case 'result': {
      if (!outcome.text.startsWith(`${key} `)) return { kind: 'problem', why: 'the answer to another call' }
      if (outcome.isError) return excused(`isError: ${outcome.text.slice(key.length + 1)}`)
      const rest = outcome.text.slice(key.length + 1)
      const right = tool === 'ask' ? rest === `done ${key}` : rest.startsWith('done ')
      return right ? { kind: 'ok' } : { kind: 'problem', why: 'an answer with the word of another call' }
    }
    case 'refused':
      if (outcome.reason === undefined)
        return { kind: 'problem', why: `an error without a reason: ${outcome.status} ${outcome.code}` }
      if (outcome.reason === 'internal') return { kind: 'problem', why: 'reason internal' }
      return excused(outcome.reason)
    case 'lost': {
      const why = broken(from, until, faults)
      if (why !== undefined) return { kind: 'failed', why }
      return { kind: 'problem', why: `connection lost: ${outcome.what}` }
    }
    case 'hung': {
      const why = library ? broken(from, until, faults) : undefined
      if (why !== undefined) return { kind: 'failed', why: `waited after: ${why}` }
      return { kind: 'problem', why: `no answer for ${Math.round(until - from)} ms` }
    }
  }
}

/** What broke the caller's connection, if anything did. */
function broken(from: number, until: number, { cuts, downs }: Faults): string | undefined {
  const within = (start: number, end: number): boolean => start < until + SLACK_MS && end > from - SLACK_MS
  if (cuts.some((at) => within(at, at))) return 'connection cut'
  return downs.some((down) => within(down.from, down.until)) ? 'edge down' : undefined
}
