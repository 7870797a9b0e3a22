// What a server tells of itself while nobody calls it: whether it tells at all, and listening for it at a bounded pace.

import { isObject } from '../../protocol/envelope.ts'
import type { ServerCatalog } from '../catalog/server.ts'
import { Pace } from '../channel/pace.ts'
import type { Peer } from './connect.ts'

const DECLINE_MS = 5_000

/** Whether a server offers to tell when one of its lists changes. */
export function tellsChanges({ capabilities }: ServerCatalog): boolean {
  return Object.values(capabilities).some((one) => isObject(one) && one['listChanged'] === true)
}

/**
 * Calls `changed` for every `list_changed`, and declines what the server asks, until the stream ends or the signal aborts.
 * Resolves with whether there was a stream. Never throws: a stream that broke is as good as none.
 */
export async function heed(peer: Peer, signal: AbortSignal, changed: () => void | Promise<void>): Promise<boolean> {
  let listened = false
  try {
    const messages = await peer.listen(signal)
    listened = messages !== undefined
    const pace = new Pace()
    for await (const message of messages ?? []) {
      if (message.kind === 'request')
        await peer.decline(message, AbortSignal.timeout(DECLINE_MS)).catch(() => undefined)
      else if (message.method.endsWith('/list_changed')) await changed()
      await pace.after(message.text.length, Date.now())
    }
  } catch {
    // The caller goes on by asking.
  }
  return listened
}
