// Both store adapters of the edge over HTTP, for tests against real workerd: POST {op, args} to /durable or /upstash.
// The object is the real one with two more methods, to look at its rows and to ring its alarm.

import { DurableStore } from '../../edge/store/durable.ts'
import { StoreObject } from '../../edge/store/object.ts'
import { UpstashStore } from '../../edge/store/upstash.ts'

export class ProbeObject extends StoreObject {
  async rows() {
    const all = (query) => this.ctx.storage.sql.exec(query).toArray()
    return {
      entries: all('SELECT key, size, length(head) AS bytes FROM entries'),
      parts: all('SELECT key, part, length(bytes) AS bytes FROM parts'),
      counters: all('SELECT key, count FROM counters'),
      alarm: await this.ctx.storage.getAlarm(),
    }
  }

  async ring() {
    await this.alarm()
  }
}

// oxlint-disable-next-line import/no-default-export -- the form of a Worker
export default {
  async fetch(request, env) {
    const { op, args } = await request.json()
    const { pathname } = new URL(request.url)
    if (pathname === '/probe')
      return Response.json({ result: (await env.STORE.getByName('store')[op](...args)) ?? null })
    const store =
      pathname === '/upstash'
        ? new UpstashStore({ url: env.UPSTASH_URL, token: env.UPSTASH_TOKEN })
        : new DurableStore(env.STORE)
    try {
      return Response.json({ result: (await store[op](...args)) ?? null })
    } catch (error) {
      const { name, reason, message, data, detail } = error
      return Response.json({ fault: { name, reason, message, data, detail } })
    }
  },
}
