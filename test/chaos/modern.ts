// A backend of 2026-07-28: stateless, asks by `input_required`, tells of changes on `subscriptions/listen`.

import type { ServerResponse } from 'node:http'
import { refuse } from './life.ts'
import type { Life } from './life.ts'
import { answered, listed, question, run, toolOf, wordOf, workOf } from './tool.ts'
import type { Message } from './tool.ts'

const SUBSCRIPTION = 'io.modelcontextprotocol/subscriptionId'

export async function serveModern(life: Life, message: Message | undefined, response: ServerResponse): Promise<void> {
  const { id, method } = message ?? {}
  const meta = message?.params?.['_meta']
  if (message === undefined || typeof meta !== 'object' || meta === null) {
    return refuse(response, 400, id, -32602, 'Missing _meta')
  }
  const send = (result: object): void => {
    const body = JSON.stringify({ jsonrpc: '2.0', id, result: { resultType: 'complete', ...result } })
    response.writeHead(200, { 'content-type': 'application/json' }).end(body)
  }
  const caching = { ttlMs: 1000, cacheScope: 'public' }
  switch (method) {
    case 'server/discover':
      return send({ supportedVersions: ['2026-07-28'], capabilities: { tools: { listChanged: true } }, ...caching })
    case 'tools/list':
      return send({ tools: listed(life.generation), ...caching })
    case 'tools/call':
      return toolOf(message) === 'ask' ? ask(life, message, send) : work(life, message, response, send)
    case 'subscriptions/listen':
      return follow(life, message, response)
    case undefined:
    default:
      return refuse(response, 404, id, -32601, 'Method not found')
  }
}

async function work(
  { execute, signal }: Life,
  message: Message,
  response: ServerResponse,
  send: (result: object) => void,
): Promise<void> {
  if (workOf(message).steps === 0) return send(answered(await run(message, execute, { notify: () => {}, signal })))
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.flushHeaders()
  const event = (one: object): void => void response.write(`data: ${JSON.stringify(one)}\n\n`)
  const text = await run(message, execute, { notify: event, signal })
  event({ jsonrpc: '2.0', id: message.id, result: { resultType: 'complete', ...answered(text) } })
  response.end()
}

/** Asks first; executes when the answer comes with the state of the same call. */
function ask({ execute }: Life, message: Message, send: (result: object) => void): void {
  const { key } = workOf(message)
  const responses = message.params?.['inputResponses'] as { readonly word?: unknown } | undefined
  if (responses === undefined) {
    const inputRequests = { word: { method: 'elicitation/create', params: question(key) } }
    return send({ resultType: 'input_required', inputRequests, requestState: key })
  }
  const word = wordOf(responses.word)
  if (message.params?.['requestState'] !== key) return send(answered(`${key} got the state of another call`, true))
  if (word === undefined) return send(answered(`${key} got no word`, true))
  execute(key)
  send(answered(`${key} done ${word}`))
}

function follow(life: Life, message: Message, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  const tell = (one: object): void => {
    const { params, ...rest } = one as Message
    const marked = { ...rest, params: { ...params, _meta: { [SUBSCRIPTION]: message.id } } }
    response.write(`data: ${JSON.stringify(marked)}\n\n`)
  }
  tell({
    jsonrpc: '2.0',
    method: 'notifications/subscriptions/acknowledged',
    params: { notifications: { toolsListChanged: true } },
  })
  life.listeners.add(tell)
  response.once('close', () => life.listeners.delete(tell))
}
