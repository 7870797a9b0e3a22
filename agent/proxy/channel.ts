// The channel of a host with one process: everybody who listens and every answer that is waited for are right here.

import type { Channel, StreamRequest } from '../../gateway/channel/channel.ts'
import { Hub, type HubHost } from '../../gateway/channel/hub.ts'
import { Meeting } from '../../gateway/channel/meeting.ts'
import { orAborted } from '../../gateway/wait.ts'
import { Fault } from '../../protocol/fault.ts'

/** One wait for an answer; the caller's signal ends the whole. */
const WAIT_MS = 20_000

export class LocalChannel implements Channel {
  readonly #hub: Hub
  readonly #meeting = new Meeting()

  constructor(host: HubHost) {
    this.#hub = new Hub(host)
  }

  open(request: StreamRequest): Promise<ReadableStream<Uint8Array>> {
    return this.#hub.open(request)
  }

  attach(session: string, server: string): Promise<void> {
    return this.#hub.attach(session, server)
  }

  subscribe(session: string, uri: string, on: boolean): Promise<void> {
    return this.#hub.subscribe(session, uri, on)
  }

  end(session: string): Promise<void> {
    return this.#hub.end(session)
  }

  async take(session: string, key: string, signal: AbortSignal): Promise<string> {
    for (;;) {
      const text = await orAborted(this.#meeting.take(`${session} ${key}`, WAIT_MS), signal)
      if (text !== undefined) return text
    }
  }

  async put(session: string, key: string, text: string): Promise<void> {
    if (!this.#meeting.put(`${session} ${key}`, text))
      throw new Fault('overloaded', 'Too many answers wait to be read.')
  }

  /** Something changed that listeners may have to be told of. */
  look(): void {
    this.#hub.look()
  }

  /** Ends every stream. */
  close(): void {
    this.#hub.close()
  }
}
