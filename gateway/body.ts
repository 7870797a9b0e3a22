// The body of a request: read within bounds, and taken apart when it is a JSON-RPC batch.

import { isObject, toMessage, type Json, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { elements, slice } from '../protocol/text.ts'
import { readBounded } from './bounded.ts'

const MAX_BODY = 8 * 1024 * 1024
const BODY_MS = 30_000
/** Ten audit lines fit into what Cloudflare keeps of one invocation's logs. */
const MAX_BATCH = 10

/** The body's text. Throws the `Fault` that HTTP has for what is wrong with method, media types or size. */
export async function readBody(request: Request): Promise<string> {
  if (request.method !== 'POST')
    throw new Fault('method_not_allowed', 'Use POST.', { headers: { allow: 'GET, POST, DELETE' } })
  const type = (request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/json')
    throw new Fault('unsupported_media_type', 'The Content-Type must be application/json.')
  const accept = request.headers.get('accept')
  if (accept !== null && !/application\/(json|\*)|text\/(event-stream|\*)|\*\/\*/u.test(accept)) {
    throw new Fault('not_acceptable', 'Accept must allow application/json or text/event-stream.')
  }
  const length = Number(request.headers.get('content-length') ?? Number.NaN)
  if (length <= MAX_BODY) return patiently(request.text())
  if (length > MAX_BODY || request.body === null) throw tooLarge()
  const text = await patiently(readBounded(request.body, MAX_BODY))
  if (text === undefined) throw tooLarge()
  return text
}

/** A body that does not come is given up; one that breaks off is the client's fault. */
async function patiently<T>(body: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    reject(new Fault('invalid_request', `The body did not arrive within ${BODY_MS / 1000} s.`))
  }, BODY_MS)
  try {
    return await Promise.race([body, late])
  } catch (error) {
    if (error instanceof Fault) throw error
    throw new Fault('invalid_request', 'The body ended before it was complete.', { cause: error })
  } finally {
    clearTimeout(timer)
  }
}

const tooLarge = (): Fault => new Fault('too_large', `The body must not exceed ${MAX_BODY} bytes.`)

export interface BatchPart {
  readonly value: Json
  readonly text: string
}

/** The messages of a batch, which exists in 2024-11-05 and 2025-03-26 only. Throws `Fault` `invalid_request`. */
export function splitBatch(values: readonly Json[], text: string, headers: Headers): BatchPart[] {
  const version = headers.get('mcp-protocol-version')
  const allowed = version === null || version === '2025-03-26' || version === '2024-11-05'
  if (!allowed) throw new Fault('invalid_request', 'Batches are not part of this protocol version.')
  if (values.length === 0 || values.length > MAX_BATCH) {
    throw new Fault('invalid_request', `A batch must have 1 to ${MAX_BATCH} messages.`)
  }
  const spans = elements(text)
  return values.map((value, index) => {
    const span = spans[index]
    return { value, text: span === undefined ? '' : slice(text, span) }
  })
}

/** One message of a batch. Throws `Fault` `invalid_request`. */
export function batchMessage(value: Json, text: string): Message {
  if (isObject(value) && value['method'] === 'initialize') {
    throw new Fault('invalid_request', '"initialize" must not be part of a batch.')
  }
  return toMessage(value, text)
}
