// The network between one uplink and the edge: a TCP relay on loopback that can break connections off, or lose everything without either
// end being told.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Relay {
  readonly port: number
  /** Resets all connections; new ones are passed on. */
  cut(): void
  /** From now on connections come about, old and new, and nothing passes in either direction. */
  freeze(): void
  /** New connections are passed on; those that were there in the frost stay silent for ever. */
  heal(): void
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket | undefined
}

/** Listens on a free port of 127.0.0.1 and passes on to the port `target` there. */
export async function startRelay(target: number): Promise<Relay> {
  const pairs = new Set<Pair>()
  const frozen = new Set<Pair>()
  let isFrozen = false
  const reset = (pair: Pair): void => {
    pairs.delete(pair)
    frozen.delete(pair)
    for (const socket of [pair.client, pair.server]) if (socket?.destroyed === false) socket.resetAndDestroy()
  }
  const silence = (pair: Pair): void => {
    frozen.add(pair)
    for (const socket of [pair.client, pair.server]) {
      socket?.unpipe()
      socket?.pause()
    }
  }
  const listener = createServer({ noDelay: true }, (client) => {
    const server = isFrozen ? undefined : connect({ host: '127.0.0.1', port: target, noDelay: true })
    const pair: Pair = { client, server }
    pairs.add(pair)
    const ended = (): void => {
      if (!frozen.has(pair)) reset(pair)
    }
    for (const socket of [client, server]) socket?.on('error', ended).on('close', ended)
    if (server === undefined) return silence(pair)
    client.pipe(server)
    server.pipe(client)
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const bound = listener.address()
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : 0,
    cut: () => {
      for (const pair of pairs) reset(pair)
    },
    freeze: () => {
      isFrozen = true
      for (const pair of pairs) silence(pair)
    },
    heal: () => {
      isFrozen = false
    },
    close: async () => {
      listener.close()
      for (const pair of pairs) reset(pair)
    },
  }
}
