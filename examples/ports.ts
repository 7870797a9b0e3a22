// Finds ports: the wanted one, or the next one that is free, so that a second start runs beside the first.

import { once } from 'node:events'
import { createServer } from 'node:net'

const tries = 50

/**
 * Calls `start` with the wanted port and then the following ones until one is not taken.
 * Only `EADDRINUSE` moves on; other errors are thrown. Throws with advice when 50 ports in a row are taken.
 */
export async function onFreePort<T>(wanted: number, start: (port: number) => Promise<T>): Promise<T> {
  for (let port = wanted; port < wanted + tries; port++) {
    try {
      return await start(port)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error
    }
  }
  throw new Error(`Ports ${wanted} to ${wanted + tries - 1} are all taken. End what uses them and start again.`)
}

/** The port itself, for programs that cannot be tried: listens for a moment. Throws `EADDRINUSE` when it is taken. */
export async function probe(port: number): Promise<number> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
  return port
}
