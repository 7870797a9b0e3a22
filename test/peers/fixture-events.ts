// The conformance fixture's memory of events on its legacy streams, for clients that come back with Last-Event-ID,
// and a tool whose answer comes only to those that do.

import type { EventStore, JSONRPCMessage } from '@modelcontextprotocol/server'
import { setTimeout as sleep } from 'node:timers/promises'
import { text } from './fixture-tools.ts'
import type { FixtureTool } from './fixture-tools.ts'

/** Of one session; 1,000 events at most. */
export class Events implements EventStore {
  readonly #events: { readonly id: string; readonly stream: string; readonly message: JSONRPCMessage }[] = []
  #last = 0

  storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    this.#last += 1
    const id = `event-${this.#last}`
    this.#events.push({ id, stream, message })
    if (this.#events.length > 1_000) this.#events.shift()
    return Promise.resolve(id)
  }

  async replayEventsAfter(
    after: string,
    { send }: { send: (id: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const at = this.#events.findIndex(({ id }) => id === after)
    const stream = this.#events[at]?.stream ?? ''
    for (const event of this.#events.slice(at + 1)) {
      // The event that only says where the stream begins has no message worth sending again.
      if (at >= 0 && event.stream === stream && Object.keys(event.message).length > 0)
        await send(event.id, event.message)
    }
    return stream
  }
}

export const reconnection: FixtureTool = {
  name: 'test_reconnection',
  description: 'Closes the stream of its answer while it works (SEP-1699)',
  run: async (_args, ctx) => {
    ctx.http?.closeSSE?.()
    await sleep(100, undefined, { signal: ctx.mcpReq.signal })
    return text('Reconnected.')
  },
}
