// One message on its way through the edge, and what goes back for it.

import type { Message } from '../protocol/envelope.ts'
import type { Endpoint } from './endpoint.ts'
import type { Opened } from './open.ts'
import type { Principal } from './principal.ts'
import type { RequestRecord } from './record.ts'
import type { ClientSession } from './session.ts'

/** A request, once its caller is known. */
export type Presented = Pick<Forwarding, 'headers' | 'principal' | 'endpoint' | 'record'>

export interface Forwarding {
  readonly message: Message
  readonly opened: Opened
  readonly session: ClientSession | undefined
  readonly principal: Principal
  readonly endpoint: Endpoint
  readonly headers: Headers
  readonly record: RequestRecord
  /** The server's own id of the event after which a stream shall go on: the call was sent before, and is not sent again. */
  readonly after?: string
  /** One of several calls for one answer: nothing precedes it, nobody is asked, and it has so many bytes at most. */
  readonly share?: number
}

/** What goes back to the client: texts of messages, the last one being the response. */
export interface Delivery {
  /** The response, when nothing precedes it; undefined for notifications. */
  readonly response: Delivered | undefined
  readonly stream: AsyncGenerator<Delivered, void, void> | undefined
}

export interface Delivered {
  /** Empty for an event that has nothing but an id. */
  readonly text: string
  /** The response as it is audited; undefined when the text is a notification or a request of the server. */
  readonly response: Message | undefined
  /** Sealed id of the event, where the stream can be resumed after it. */
  readonly event?: string | undefined
}

/** Whether the client reads an event stream, which is the only way to be asked something. */
export const readsStreams = (headers: Headers): boolean => headers.get('accept')?.includes('text/event-stream') === true
