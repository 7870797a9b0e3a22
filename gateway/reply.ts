// From an outcome to an HTTP response. JSON wherever one message suffices; an event stream when messages precede the
// response, or when the response is slow, so that intermediaries keep the connection and a client that leaves is noticed.

import { written } from '../protocol/aside.ts'
import { faultText, isObject } from '../protocol/envelope.ts'
import { Fault, modernStatus, wire } from '../protocol/fault.ts'
import type { Era } from '../protocol/revision.ts'
import { sseComment, sseEvent, sseMessage } from '../protocol/sse.ts'
import type { Deadline } from './deadline.ts'
import type { Delivered, Delivery } from './forwarding.ts'
import type { RequestRecord } from './record.ts'
import { orQuiet } from './wait.ts'

/** A client that left is noticed at the next write, so this also bounds how long its call goes on. */
const KEEP_ALIVE_MS = 5_000

export interface Asker {
  readonly era: Era
  /** JSON text of the request's id. */
  readonly id: string | undefined
  readonly acceptsStream: boolean
  /** The client reads nothing but an event stream: it resumes one by GET. */
  readonly onlyStream?: boolean
}

const encoder = new TextEncoder()
const JSON_HEADERS = { 'content-type': 'application/json' }
export const STREAM_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
}

/** The response to a forwarded request, whose clock is `deadline`. */
export async function relay(
  work: Promise<Delivery>,
  asker: Asker,
  record: RequestRecord,
  deadline: Deadline,
): Promise<Response> {
  if (asker.onlyStream === true) return streamed(events({ work }, asker, record), deadline)
  const early = asker.acceptsStream ? await Promise.race([work, deadline.slow]) : await work
  if (early !== undefined && early.stream === undefined) {
    if (early.response === undefined) {
      record.finish('success', 0)
      return new Response(null, { status: 202 })
    }
    return single(early.response, asker, record)
  }
  if (!asker.acceptsStream) return single(await last(early?.stream), asker, record)
  return streamed(events(early ?? { work }, asker, record), deadline)
}

const streamed = (texts: AsyncGenerator<string, void, void>, deadline: Deadline): Response =>
  new Response(stream(texts, deadline), { headers: STREAM_HEADERS })

/** The response to a request that failed before anything was sent. */
export function refusal(fault: Fault, asker: Asker): Response {
  const { status, code } = wire(fault.reason)
  const headers: Record<string, string> = { ...JSON_HEADERS, ...fault.headers }
  const after = fault.data?.retryAfterSeconds
  if (status >= 400 && after !== undefined) headers['retry-after'] = String(after)
  const inBand = status === 200 && asker.era === 'modern' ? modernStatus(code) : status
  return new Response(faultText(asker.id, fault), { status: inBand, headers })
}

/** A result of our own. */
export function answer(
  id: string | undefined,
  result: string | Uint8Array,
  headers: Record<string, string> = {},
): Response {
  const prefix = `{"jsonrpc":"2.0","id":${id ?? 'null'},"result":`
  if (typeof result === 'string')
    return new Response(`${prefix}${result}}`, { headers: { ...JSON_HEADERS, ...headers } })
  const head = encoder.encode(prefix)
  const body = new Uint8Array(head.length + result.length + 1)
  body.set(head)
  body.set(result, head.length)
  body[body.length - 1] = 125
  return new Response(body, { headers: { ...JSON_HEADERS, ...headers } })
}

function single(delivered: Delivered, asker: Asker, record: RequestRecord): Response {
  const error = finish(delivered, record)
  return new Response(bodyOf(delivered), {
    status: asker.era === 'modern' ? modernStatus(error) : 200,
    headers: JSON_HEADERS,
  })
}

/** A text, or a stream of its pieces where there is much of it. */
function bodyOf({ text, response }: Delivered): string | ReadableStream<Uint8Array> {
  if (response?.aside === undefined) return text
  const pieces = written(text, response)
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const next = pieces.next()
      if (next.done === true) controller.close()
      else controller.enqueue(encoder.encode(next.value))
    },
  })
}

/** Records the response; returns its error code. */
function finish({ text, response }: Delivered, record: RequestRecord): number | undefined {
  const size = text.length + (response?.aside?.length ?? 0)
  const code = response?.error?.['code']
  if (typeof code === 'number') {
    record.finish('error', size, code)
    return code
  }
  const failed = isObject(response?.result) && response.result['isError'] === true
  record.finish(failed ? 'application_error' : 'success', size)
  return undefined
}

async function last(messages: AsyncGenerator<Delivered, void, void> | undefined): Promise<Delivered> {
  if (messages !== undefined) for await (const message of messages) if (message.response !== undefined) return message
  throw new Fault('backend_protocol', 'The server ended without an answer.')
}

/** The texts of an event stream. Ends after the response or a fault; never throws. */
async function* events(
  delivery: Delivery | PendingDelivery,
  asker: Asker,
  record: RequestRecord,
): AsyncGenerator<string, void, void> {
  let finished = false
  try {
    const ready = 'work' in delivery ? yield* patiently(delivery.work) : delivery
    if (ready.response !== undefined) {
      finish(ready.response, record)
      finished = true
      yield* written(sseMessage(ready.response.text), ready.response.response)
    } else if (ready.stream !== undefined) {
      for (;;) {
        const next = yield* patiently(ready.stream.next())
        if (next.done === true) break
        if (next.value.response !== undefined) {
          finish(next.value, record)
          finished = true
        }
        const { text, event, response } = next.value
        yield* written(event === undefined ? sseMessage(text) : sseEvent(event, text), response)
      }
    }
    if (!finished) throw new Fault('backend_protocol', 'The server ended without an answer.')
  } catch (error) {
    const fault = asFault(error)
    record.fail(fault)
    finished = true
    yield sseMessage(faultText(asker.id, fault))
  } finally {
    if (!finished) record.fail(new Fault('cancelled', 'The client left.'))
  }
}

/** Anything thrown, as what the caller and the audit trail get to read of it. */
export function asFault(error: unknown): Fault {
  if (error instanceof Fault) return error
  const detail = error instanceof Error ? `${error.name}: ${error.message}`.slice(0, 300) : 'unknown'
  return new Fault('internal', 'Internal error.', { detail, cause: error })
}

interface PendingDelivery {
  readonly work: Promise<Delivery>
}

/** Awaits, with a comment every now and then so that the stream is not taken for dead. */
async function* patiently<T>(work: Promise<T>): AsyncGenerator<string, T, void> {
  for (;;) {
    const result = await orQuiet(
      work.then((value) => ({ value })),
      KEEP_ALIVE_MS,
    )
    if (result !== undefined) return result.value
    yield sseComment
  }
}

function stream(texts: AsyncGenerator<string, void, void>, deadline: Deadline): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await texts.next()
      if (next.done === true) controller.close()
      else controller.enqueue(encoder.encode(next.value))
    },
    async cancel() {
      deadline.leave()
      await texts.return()
    },
  })
}
