// Upstash's REST protocol in front of a real redis-server, for tests: /, /pipeline and /multi-exec with the caps of the
// smallest plans, so that an adapter that forgets to cut its values fails here and not in production.
// Invariant: a bulk string and a status are told apart by their RESP type, never by their text ("OK" may be a value).

import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createClient, RESP_TYPES } from '@redis/client'

interface UpstashOptions {
  /** Bytes; a larger request is refused. */
  readonly maxRequest?: number
  /** Bytes; a larger reply is refused. */
  readonly maxReply?: number
  readonly port?: number
}

type Command = readonly (string | number)[]
type Reply = { result: unknown } | { error: string }

const TOKEN = 'upstash-test-token'
const MAX_REQUEST = 1_000_000
const MAX_REPLY = 10_000_000

/** Starts the front on 127.0.0.1 before the redis-server at `redisPort`. `requests` counts what has been asked so far. */
export async function startUpstash(
  redisPort: number,
  options: UpstashOptions = {},
): Promise<{ url: string; token: string; requests(): number; close(): Promise<void> }> {
  const { maxRequest = MAX_REQUEST, maxReply = MAX_REPLY } = options
  const connection = createClient({
    RESP: 2,
    socket: { host: '127.0.0.1', port: redisPort, connectTimeout: 1000, reconnectStrategy: 50 },
    disableOfflineQueue: true,
  })
  // Commands fail by themselves while the server is away; the event would otherwise end the process.
  connection.on('error', () => {})
  await connection.connect()
  const redis = connection.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })

  async function one(command: Command, base64: boolean): Promise<Reply> {
    try {
      return { result: encode(await redis.sendCommand(command.map(String)), base64) }
    } catch (error) {
      return { error: error instanceof Error ? error.message : 'ERR unknown' }
    }
  }

  async function multi(commands: readonly Command[], base64: boolean): Promise<Reply[] | { error: string }> {
    // Sent in one tick, so nothing of another request comes between.
    const queued = [['MULTI'], ...commands, ['EXEC']].map((command) => one(command, base64))
    const exec = (await Promise.all(queued)).at(-1)
    if (exec === undefined || 'error' in exec) return { error: exec?.error ?? 'ERR no reply' }
    return Array.isArray(exec.result) ? exec.result.map((result: unknown) => ({ result })) : { error: 'ERR aborted' }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, body: unknown): void => {
      const text = JSON.stringify(body)
      if (Buffer.byteLength(text) > maxReply) return send(400, { error: 'ERR max request size exceeded' })
      response.writeHead(status, { 'content-type': 'application/json', 'upstash-sync-token': 'shim' }).end(text)
    }
    if (request.headers.authorization !== `Bearer ${TOKEN}`) return send(401, { error: 'Unauthorized' })
    const text = await body(request, maxRequest)
    if (text === null) return send(400, { error: `ERR max request size exceeded. Limit: ${maxRequest} bytes` })
    const base64 = request.headers['upstash-encoding'] === 'base64'
    const asked: unknown = parse(text)
    if (request.url === '/' && isCommand(asked)) {
      const reply = await one(asked, base64)
      return send('error' in reply ? 400 : 200, reply)
    }
    if (Array.isArray(asked) && asked.every(isCommand)) {
      if (request.url === '/pipeline') return send(200, await Promise.all(asked.map((each) => one(each, base64))))
      if (request.url === '/multi-exec') {
        const replies = await multi(asked, base64)
        return send('error' in replies ? 400 : 200, replies)
      }
    }
    send(400, { error: 'ERR expected a JSON array of a command' })
  }

  let requests = 0
  const server = createServer((request, response) => {
    requests += 1
    answer(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}`,
    token: TOKEN,
    requests: () => requests,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
      connection.destroy()
    },
  }
}

/** As Upstash does: with base64 on, every bulk string is encoded, statuses are not. */
function encode(reply: unknown, base64: boolean): unknown {
  if (Buffer.isBuffer(reply)) return reply.toString(base64 ? 'base64' : 'utf8')
  if (Array.isArray(reply)) return reply.map((each: unknown) => encode(each, base64))
  if (reply instanceof Error) return reply.message
  return reply ?? null
}

function isCommand(asked: unknown): asked is Command {
  return (
    Array.isArray(asked) &&
    asked.length > 0 &&
    asked.every((part) => typeof part === 'string' || typeof part === 'number')
  )
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

async function body(request: IncomingMessage, limit: number): Promise<string | null> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.byteLength
    if (size <= limit) chunks.push(chunk)
  }
  return size > limit ? null : Buffer.concat(chunks).toString('utf8')
}
