// What reaches a client outside the answer to its own request, and what requests of one client say to each other when
// different isolates serve them. A port: few shared objects own it, and only sessions that need it ever touch one.

import type { JsonObject } from '../../protocol/envelope.ts'
import type { Credentials } from '../auth/credentials.ts'

/** A stream that a client opens to hear what happens. */
export interface StreamRequest {
  readonly endpoint: string
  /** Whoever holds the stream checks again and again that they are still good. */
  readonly credentials: Credentials
  /** Legacy: the session whose GET stream this is (MCP 2025-11-25, basic/transports, listening). */
  readonly session?: {
    readonly id: string
    readonly revision: string
    readonly capabilities: JsonObject
    /** `Last-Event-ID`: what came after it is sent again, as far as it is still known. */
    readonly lastEvent: string | undefined
  }
  /** Modern: `subscriptions/listen` with this id (JSON text) (MCP 2026-07-28, subscriptions). */
  readonly subscription?: { readonly id: string; readonly notifications: JsonObject }
}

export interface Channel {
  /** The event stream. Throws `Fault` as `Guard.enter` does, `overloaded` when the caller has too many. */
  open(request: StreamRequest): Promise<ReadableStream<Uint8Array>>
  /**
   * The session has a session at this legacy server now, which may speak on its own: resolves when it is listened to, where
   * the client listens, and soon in any case. Never throws.
   */
  attach(session: string, server: string): Promise<void>
  /** The session wants (or no longer wants) to hear of a resource, by its exposed URI. Throws `Fault` `overloaded`. */
  subscribe(session: string, uri: string, on: boolean): Promise<void>
  /** The session ended. Never throws. */
  end(session: string): Promise<void>
  /** Waits for what another request of the session puts under this key. Throws the signal's reason. */
  take(session: string, key: string, signal: AbortSignal): Promise<string>
  /** Hands a text to whoever takes it, or will within a minute. */
  put(session: string, key: string, text: string): Promise<void>
}
