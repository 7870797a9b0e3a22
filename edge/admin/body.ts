// The JSON body of a write, read within a bound and a deadline.

import { Fault } from '../../protocol/fault.ts'

/** Bytes. */
export const maxBody = 4 * 1024 * 1024

const deadline = 30_000

/**
 * Parses the body of a request whose Content-Type is application/json.
 * Throws `Fault` unsupported_media_type, too_large, invalid_request (too slow) or invalid_json.
 */
export async function readJson(request: Request): Promise<unknown> {
  const type = request.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json')
    throw new Fault('unsupported_media_type', 'Send the body as Content-Type: application/json.')
  if (Number(request.headers.get('content-length') ?? 0) > maxBody) throw tooLarge()
  const bytes = await readAll(request)
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes))
  } catch {
    // The parser's own message quotes the body, which may hold a secret.
    throw new Fault('invalid_json', 'The body is not valid JSON in UTF-8.')
  }
}

async function readAll(request: Request): Promise<Uint8Array> {
  const reader = request.body?.getReader()
  if (reader === undefined) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  const late = { value: false }
  const timer = setTimeout(() => {
    late.value = true
    reader.cancel().catch(() => undefined)
  }, deadline)
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        throw new Fault('invalid_request', 'The body ended before it was complete.', { cause: error })
      })
      if (late.value) throw new Fault('invalid_request', `The body did not arrive within ${deadline / 1000} s.`)
      if (done) break
      size += value.length
      if (size > maxBody) {
        reader.cancel().catch(() => undefined)
        throw tooLarge()
      }
      chunks.push(value)
    }
  } finally {
    clearTimeout(timer)
  }
  const bytes = new Uint8Array(size)
  let offset = 0
  for (const chunk of chunks) {
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}

function tooLarge(): Fault {
  return new Fault('too_large', `The body may have ${maxBody} bytes. Split it into several requests.`)
}
