// The four kinds of servers behind the edge, and how each is called in docs/matrix.md.

import type { Journal } from './journal.ts'

/** A real SDK server on loopback. */
export interface Server {
  readonly url: string
  readonly journal: Journal
  close(): Promise<void>
}

export const kinds = ['modern', 'legacy stateful', 'legacy stateless', 'old HTTP+SSE'] as const

export type Kind = (typeof kinds)[number]

/** The name of a server's resources: `old HTTP+SSE` is `old-http-sse`. */
export function nameOf(kind: Kind): string {
  return kind.toLowerCase().replaceAll(/[^a-z]+/g, '-')
}
