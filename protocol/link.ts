// The link: one WebSocket that an uplink opened, and what travels on it. A frame is a binary message: one line of JSON, a newline, and
// bytes that neither end reads. A call is one HTTP exchange with a proxy of the cluster: request and answer stream in both directions,
// each within the credit that its reader gave, so that whoever is slow slows only its own call.

/** Versions of the link that this program speaks, the best first; offered and chosen as the WebSocket's sub-protocol. */
export const LINK_PROTOCOLS = ['waggle.link.v1'] as const
/** Largest frame, in bytes: longer bodies travel in pieces. */
export const MAX_FRAME = 1024 * 1024
/** Largest piece of a body in one frame, in bytes. */
export const MAX_PIECE = 256 * 1024
/** Bytes of one direction of a call that may be on their way unread: what both ends start with. */
export const WINDOW = 512 * 1024
/** Calls of one link at once. */
export const MAX_CALLS = 1024
/** An uplink that has said nothing of a call for this long is taken for dead as far as the call is concerned, in milliseconds. */
export const ACK_MS = 2_000
/** What a link sends when it has nothing else to say, and what answers it without waking anybody. */
export const PING = 'ping'
export const PONG = 'pong'
export const PING_MS = 10_000
/** Request headers that travel, besides `mcp-*`: what a proxy needs to know of a call. Each end leaves out all others. */
export const CALL_HEADERS: ReadonlySet<string> = new Set([
  'accept',
  'content-type',
  'last-event-id',
  'traceparent',
  'tracestate',
  'waggle-assertion',
  'waggle-request-id',
])

/** A proxy of the cluster, as the edge calls it. */
export interface CallTarget {
  readonly kind: string
  readonly namespace: string
  readonly name: string
}

/** Why a call ended without an answer. `unsent`: nothing of it has reached a proxy, so it may be made elsewhere. */
export interface LinkFault {
  readonly reason:
    | 'unreachable'
    | 'timeout'
    | 'unknown_target'
    | 'overloaded'
    | 'refused'
    | 'cancelled'
    | 'lost'
    | 'protocol'
  readonly message: string
  readonly unsent: boolean
}

/** What the edge says. `last`: the body ends with this frame. */
export type EdgeFrame =
  | {
      readonly kind: 'open'
      readonly call: string
      readonly target: CallTarget
      readonly method: 'POST' | 'GET' | 'DELETE'
      readonly headers: Readonly<Record<string, string>>
      /** How long the answer may take to begin, in milliseconds. */
      readonly deadlineMs: number
      readonly last: boolean
    }
  | { readonly kind: 'data'; readonly call: string; readonly last: boolean }
  | { readonly kind: 'credit'; readonly call: string; readonly bytes: number }
  | { readonly kind: 'cancel'; readonly call: string }
  /**
   * First frame of every connection, and again when the hub woke up without memory: nobody waits for calls of before.
   * `serverTime` in milliseconds since the epoch.
   */
  | { readonly kind: 'welcome'; readonly connection: string; readonly serverTime: number }
  /** This connection publishes from now on, under this epoch. */
  | { readonly kind: 'lead'; readonly epoch: number }
  /** Another connection leads under a newer epoch: what this one publishes is ignored. */
  | { readonly kind: 'fenced'; readonly epoch: number }
  /** Bodies of a snapshot that the edge has not got. */
  | { readonly kind: 'want'; readonly seq: number; readonly digests: readonly string[] }
  /** The snapshot is what the edge lists now; what it dropped, and why. */
  | { readonly kind: 'registered'; readonly seq: number; readonly dropped: readonly Dropped[] }
  /** The edge ends soon: no new calls come on this connection, and another one should be opened. */
  | { readonly kind: 'goaway'; readonly retryAfterMs: number }

/** What an uplink says. */
export type UplinkFrame =
  /** The call has arrived; sent when the answer does not begin at once. */
  | { readonly kind: 'ack'; readonly call: string }
  | {
      readonly kind: 'head'
      readonly call: string
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly last: boolean
    }
  | { readonly kind: 'data'; readonly call: string; readonly last: boolean }
  | { readonly kind: 'credit'; readonly call: string; readonly bytes: number }
  | ({ readonly kind: 'fault'; readonly call: string } & LinkFault)
  /** First frame of every connection. */
  | { readonly kind: 'hello'; readonly replica: string; readonly version: string; readonly isLeader: boolean }
  /** This replica leads its cluster's uplinks from now on, or does no longer. */
  | { readonly kind: 'leading'; readonly isLeader: boolean }
  /** The payload is a piece of the text of a `Snapshot`. */
  | { readonly kind: 'snapshot'; readonly epoch: number; readonly seq: number; readonly last: boolean }
  /** The payload is a piece of the text of one body of the snapshot. */
  | { readonly kind: 'body'; readonly epoch: number; readonly digest: string; readonly last: boolean }
  /** No new calls, please: this replica ends. Calls under way are answered. */
  | { readonly kind: 'goaway' }

/** Something of a snapshot that the edge does not list. `key` as `itemKey` makes it. */
export interface Dropped {
  readonly key: string
  readonly reason: 'not_allowed' | 'invalid' | 'too_many' | 'too_large' | 'shadowed' | 'conflict'
  readonly message: string
}
