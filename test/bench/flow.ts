// Tools whose answers are large or long, for servers called `flow-…` of the backend: what a link must carry besides short answers.
import type { ServerResponse } from 'node:http'

export interface FlowCall {
  readonly id?: number | string
  readonly params?: {
    readonly name?: string
    readonly arguments?: { readonly bytes?: number; readonly events?: number; readonly everyMs?: number }
    readonly _meta?: { readonly progressToken?: unknown }
  }
}

const numbers = (...names: string[]): object => ({
  type: 'object',
  properties: Object.fromEntries(names.map((name) => [name, { type: 'integer' }])),
})

export const FLOW_TOOLS = [
  { name: 'blob', description: 'A text of so many bytes', inputSchema: numbers('bytes') },
  { name: 'drip', description: 'Progress every so many milliseconds', inputSchema: numbers('events', 'everyMs') },
  { name: 'flood', description: 'Progress as fast as it is read', inputSchema: numbers('events', 'bytes') },
]

/** Bytes that `flood` has handed to the network so far, of all calls. */
export let flooded = 0

/** Answers one `tools/call`. */
export function flow(response: ServerResponse, message: FlowCall): void {
  const { name, arguments: given } = message.params ?? {}
  const { bytes = 0, events = 0, everyMs = 0 } = given ?? {}
  if (name === 'blob') {
    const body = Buffer.from(result(message, 'x'.repeat(bytes)))
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
    response.end(body)
    return
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  void stream(response, message, events, everyMs, bytes)
}

async function stream(
  response: ServerResponse,
  message: FlowCall,
  events: number,
  everyMs: number,
  bytes: number,
): Promise<void> {
  const token = message.params?._meta?.progressToken
  const filling = 'x'.repeat(bytes)
  for (let event = 1; event <= events && !response.destroyed; event += 1) {
    const params = { progressToken: token, progress: event, message: `${Date.now()} ${filling}` }
    const text = `data: ${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/progress', params })}\n\n`
    if (bytes > 0) flooded += text.length
    const isRoom = response.write(text)
    if (everyMs > 0) await new Promise((resolve) => setTimeout(resolve, everyMs))
    else if (!isRoom) await room(response)
  }
  response.end(`data: ${result(message, 'done')}\n\n`)
}

/** Resolves when more may be written, or nothing any more. */
function room(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

function result({ id }: FlowCall, text: string): string {
  return JSON.stringify({
    jsonrpc: '2.0',
    id,
    result: { resultType: 'complete', content: [{ type: 'text', text }] },
  })
}
