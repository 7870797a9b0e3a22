// The heap of the edge's isolate, as workerd's inspector tells it.

import { WebSocket } from 'ws'

const WAIT_MS = 60_000

const POKE_MS = 100

/** Bytes in use once everything that nobody needs is gone. `port` is that of `--inspector-addr`, `edge` the edge's URL. */
export async function heapOf(port: number, edge: string): Promise<number> {
  const listed = await fetch(`http://127.0.0.1:${port}/json`)
  const isolates = (await listed.json()) as { readonly id: string; readonly webSocketDebuggerUrl: string }[]
  const isolate = isolates.find(({ id, webSocketDebuggerUrl }) => `${id}${webSocketDebuggerUrl}`.includes('edge'))
  if (isolate === undefined) throw new Error(`no isolate of the edge: ${JSON.stringify(isolates)}`)
  const socket = new WebSocket(isolate.webSocketDebuggerUrl)
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  let count = 0
  const ask = (method: string): Promise<Record<string, number>> => {
    const id = (count += 1)
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the inspector does not answer ${method}`)), WAIT_MS)
      const hear = (data: Buffer): void => {
        const message = JSON.parse(data.toString()) as { id?: number; result?: Record<string, number> }
        if (message.id !== id) return
        socket.off('message', hear)
        clearTimeout(late)
        resolve(message.result ?? {})
      }
      socket.on('message', hear)
      socket.send(JSON.stringify({ id, method }))
    })
  }
  // An isolate that has nothing to do does not look what its inspector wants.
  const poking = setInterval(() => {
    fetch(`${edge}/healthz`).then(
      (response) => response.body?.cancel(),
      () => undefined,
    )
  }, POKE_MS)
  try {
    await ask('HeapProfiler.enable')
    await ask('HeapProfiler.collectGarbage')
    return (await ask('Runtime.getHeapUsage'))['usedSize'] ?? Number.NaN
  } finally {
    clearInterval(poking)
    socket.terminate()
  }
}
