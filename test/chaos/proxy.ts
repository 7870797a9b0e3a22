// A TCP proxy on loopback that can cut its connections, at once or after some more bytes, and starve them for a while.
// It remembers when it did, so that a caller's loss can be laid at its door and nobody else's.

import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { once } from 'node:events'

export interface Proxy {
  readonly port: number
  /** `performance.now()` of every cut, and of every silence while it lasted. What the two ends do themselves is not here. */
  readonly cuts: number[]
  /** Connections open now. */
  open(): number
  /** Cuts one connection, chosen by `pick` in [0, 1), after so many more bytes towards the client (0: now). False when there is none. */
  cut(pick: number, afterBytes: number): boolean
  /** Passes nothing on towards the client of one connection for so long. */
  starve(pick: number, milliseconds: number): boolean
  /** Takes back what was announced and has not happened yet. */
  calm(): void
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  budget: number
}

/** Listens on a free port of 127.0.0.1 and connects to the port `target` of the same machine. */
export async function startProxy(target: () => number): Promise<Proxy> {
  const pairs = new Set<Pair>()
  const cuts: number[] = []

  function sever(pair: Pair): void {
    if (!pairs.delete(pair)) return
    cuts.push(performance.now())
    reset(pair.client)
    reset(pair.server)
  }

  function chosen(pick: number): Pair | undefined {
    return [...pairs][Math.floor(pick * pairs.size)]
  }

  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ host: '127.0.0.1', port: target(), noDelay: true })
    const pair: Pair = { client, server, budget: Number.POSITIVE_INFINITY }
    pairs.add(pair)
    client.pipe(server)
    server.on('data', (chunk: Buffer) => {
      pair.budget -= chunk.length
      if (pair.budget < 0) {
        // What fits still goes, so that the cut lies inside a message.
        client.write(chunk.subarray(0, chunk.length + pair.budget), () => sever(pair))
        server.pause()
      } else if (!client.write(chunk)) server.pause()
    })
    client.on('drain', () => server.resume())
    server.on('end', () => client.end())
    const closed = (): void => {
      pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    server.on('error', () => reset(client))
    client.on('error', () => reset(server))
    client.on('close', closed)
    server.on('close', () => (client.writableLength > 0 ? client.end() : closed()))
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const bound = listener.address()

  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : 0,
    cuts,
    open: () => pairs.size,
    cut: (pick, afterBytes) => {
      const pair = chosen(pick)
      if (pair === undefined) return false
      if (afterBytes === 0) sever(pair)
      else pair.budget = Math.min(pair.budget, afterBytes)
      return true
    },
    starve: (pick, milliseconds) => {
      const pair = chosen(pick)
      if (pair === undefined) return false
      pair.server.pause()
      setTimeout(() => pair.server.resume(), milliseconds).unref()
      return true
    },
    calm: () => {
      for (const pair of pairs) pair.budget = Number.POSITIVE_INFINITY
    },
    close: async () => {
      listener.close()
      for (const pair of pairs) sever(pair)
    },
  }
}

/** Breaks a connection off. One that is ending already can only be closed: resetting it would leave its handle behind. */
function reset(socket: Socket): void {
  if (socket.writableEnded || socket.connecting) socket.destroy()
  else socket.resetAndDestroy()
}
