// The object behind a channel: a hub for those who listen, and a place where answers meet the calls that wait for them.
// What it holds is in its memory: an object that is evicted loses streams, which their clients open again.

import { DurableObject } from 'cloudflare:workers'
import type { StreamRequest } from '../gateway/channel/channel.ts'
import { Hub } from '../gateway/channel/hub.ts'
import { Meeting } from '../gateway/channel/meeting.ts'
import { Fault } from '../protocol/fault.ts'
import type { Refused } from './channel.ts'
import type { Env } from './env.ts'
import { hostFor } from './host.ts'
import { poke } from './refresh.ts'

/** One wait for an answer; who waits longer asks again, and so finds an object that was evicted meanwhile. */
const WAIT_MS = 20_000

export class ChannelObject extends DurableObject<Env> {
  readonly #meeting = new Meeting()
  readonly #hub: Hub

  constructor(state: DurableObjectState, env: Env) {
    super(state, env)
    const { store, sealer, state: known, endpoints, announced } = hostFor(env)
    const defer = (work: Promise<unknown>) => state.waitUntil(work)
    this.#hub = new Hub({
      store,
      sealer,
      now: Date.now,
      revoked: known.revoked,
      endpoint: async (key) => {
        if (!known.isFresh()) await known.refresh(defer)
        return endpoints.endpoint(key)
      },
      changed: (server) => {
        if (announced.offer(server, Date.now())) defer(poke(env, server).catch(() => undefined))
      },
    })
  }

  override async fetch(request: Request): Promise<Response> {
    try {
      return await this.#answer(new URL(request.url).pathname, await request.json())
    } catch (error) {
      const fault = error instanceof Fault ? error : new Fault('internal', 'Internal error.')
      const refused: Refused = { reason: fault.reason, message: fault.message, data: fault.data }
      return Response.json(refused, { status: 503 })
    }
  }

  async #answer(path: string, body: unknown): Promise<Response> {
    switch (path) {
      case '/open':
        return new Response(await this.#hub.open(body as StreamRequest))
      case '/attach': {
        const { session, server } = body as { session: string; server: string }
        await this.#hub.attach(session, server)
        break
      }
      case '/subscribe': {
        const { session, uri, on } = body as { session: string; uri: string; on: boolean }
        await this.#hub.subscribe(session, uri, on)
        break
      }
      case '/end':
        await this.#hub.end((body as { session: string }).session)
        break
      case '/take': {
        const text = await this.#meeting.take((body as { key: string }).key, WAIT_MS)
        return text === undefined ? new Response(null, { status: 204 }) : new Response(text)
      }
      case '/put': {
        const { key, text } = body as { key: string; text: string }
        if (!this.#meeting.put(key, text)) throw new Fault('overloaded', 'Too many answers wait to be read.')
        break
      }
      default:
        return new Response(null, { status: 404 })
    }
    return new Response(null, { status: 204 })
  }
}
