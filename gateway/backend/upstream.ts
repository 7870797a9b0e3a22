// The backend port: one call goes out, messages come back, and what the server asks meanwhile can be answered.

import type { JsonObject, Message } from '../../protocol/envelope.ts'
import type { Era } from '../../protocol/revision.ts'
import type { Principal } from '../principal.ts'

export type Fetch = (url: string, init: RequestInit) => Promise<Response>

/** Where a server is and how it is spoken to. Its credentials exist only inside `headers`. */
export interface Upstream {
  /** `<namespace>/<name>` */
  readonly server: string
  readonly url: string
  /** Names the credential without being one: sessions of different accounts never mix. */
  readonly account: string
  readonly transport: 'streamable-http' | 'sse'
  /** Credential and forwarded headers for one request. Throws `Fault` `backend_refused` when a secret is missing. */
  readonly headers: () => Promise<Readonly<Record<string, string>>>
  readonly fetch: Fetch
  /** As `fetch` where that ends with the request it serves: honours the signal, for streams that outlive a request. */
  readonly lasting?: Fetch
  /** Private addresses are allowed by the resource; loopback only if the edge's operator allows it as well. */
  readonly allowPrivate: boolean
  readonly allowLoopback: boolean
}

/** One message on its way to a server. */
export interface Call {
  /** JSON text of the message as the server shall read it. */
  readonly text: string
  /** JSON text of its id; undefined for a notification. */
  readonly id: string | undefined
  /** MCP and trace headers of this call. */
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** Nobody but the signal ends the wait, so it must reach the network. Always so for messages without an id. */
  readonly alone?: true
  /** Largest message to accept in bytes; MAX_REPLY when absent. */
  readonly limit?: number
  /** Most values that it may have once parsed; what `parseMessage` allows when absent. */
  readonly values?: number | undefined
  /** The audit trail's id of the request that this call is part of. */
  readonly requestId?: string
}

/** What came back; `session` is the id that the server assigned with it. A stream yields notifications and requests of the server and ends with the response. */
export type Reply =
  | { readonly kind: 'message'; readonly message: Message; readonly session?: string | undefined }
  | {
      readonly kind: 'stream'
      readonly messages: AsyncGenerator<Message, void, void>
      /** Sends the answer to a request of the server on the same session. */
      readonly answer: (text: string) => Promise<void>
      /** Id of the last event that was read, where the server gives its events ids: `resume` goes on after it. */
      readonly lastEvent?: () => string | undefined
      readonly session?: string | undefined
    }
  | { readonly kind: 'accepted' }
  | Rejected

/** HTTP 4xx: nothing was executed. */
export interface Rejected {
  readonly kind: 'rejected'
  readonly status: number
  /** The JSON-RPC error that answers the call, if the server sent one. */
  readonly message: Message | undefined
  /** The JSON-RPC error in the body, whether it answers the call or names no id. */
  readonly error?: JsonObject | undefined
  /** The refusal is how a server answers that speaks only this other era: the call may be sent again in it. */
  readonly speaks?: Era
}

/** On whose behalf a server is called: whose session it is, where the server keeps any. */
export interface Owner {
  /** Tells owners apart. */
  readonly name: string
  /** Id of the client's session, for those who have one: it may listen to what the server says on its own. */
  readonly session?: string
  /** Who calls, as known by now: for servers that are told. */
  readonly caller?: () => Principal
  /** What a server may ask of the client, told to legacy servers when the owner's session opens. */
  readonly capabilities: JsonObject
}

/** A server as the pipeline calls it. */
export interface Backend {
  call(call: Call, owner: Owner): Promise<Reply>
  /** As `call`, but only if the owner has a session already; nobody waits for the answer. Never throws. */
  tell(call: Call, owner: Owner): Promise<void>
  /** The rest of a stream that broke off after the event `after`; undefined when the server does not go on with it. */
  resume(after: string, call: Call, owner: Owner): Promise<Reply | undefined>
  /**
   * What the server says outside of calls, until the stream or the signal ends; undefined when it offers no such stream.
   * Legacy servers speak on the owner's session, if there is one; modern ones of the resources `uris`.
   */
  listen(uris: readonly string[], owner: Owner, signal: AbortSignal): Promise<Unasked | undefined>
  /** Ends the owner's session, if there is one. Never throws. */
  end(owner: Owner, signal: AbortSignal): Promise<void>
}

/** Notifications, and requests of legacy servers. */
export type Unasked = AsyncGenerator<Message, void, void>

/** Largest message from a server, in bytes: a 20 MB result passes, memory stays bounded. */
export const MAX_REPLY = 24 * 1024 * 1024
