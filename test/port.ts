// A port for a program that must be told one, or that comes back to its own.

import { once } from 'node:events'
import { createServer } from 'node:net'

/** Below the ports that the kernel gives to whoever asks for any: no connection of somebody else takes it meanwhile. */
const FIRST = 12_000
const LAST = 32_000

/** A port of loopback that nobody listened on a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST))
    const server = createServer()
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!isFree) continue
    const closed = once(server, 'close')
    server.close()
    await closed
    return port
  }
}
