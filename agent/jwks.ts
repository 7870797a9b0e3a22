// Public keys as texts, wherever the agent reads them: in ConfigMaps and at the edge. What is no public key for assertions is
// left out, and so is everything else of a key: a private part that stands there by mistake is passed on to nobody.

import type { JSONWebKeySet } from 'jose'
import * as z from 'zod'
import type { Fetch } from '../gateway/backend/upstream.ts'
import { readBounded } from '../gateway/bounded.ts'

/** Key of the text in ConfigMaps. */
export const PUBLIC_KEYS = 'signing.json'
/** Keys of one signer at most. */
const MAX_KEYS = 8
const DEADLINE_MS = 10_000
const MAX_BODY = 64 * 1024

const Keys = z.object({ keys: z.array(z.unknown()) })
const Key = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string(),
  y: z.string(),
  kid: z.string().min(1),
  alg: z.literal('ES256').optional(),
  use: z.literal('sig').optional(),
})

/** Undefined: the text is no set of keys at all; one without a key that we know is empty. */
export function readJwks(text: string | undefined): JSONWebKeySet | undefined {
  const found = Keys.safeParse(parse(text))
  if (!found.success) return undefined
  const keys = found.data.keys.flatMap((one) => Key.safeParse(one).data ?? [])
  return { keys: keys.slice(0, MAX_KEYS) } as JSONWebKeySet
}

/** The keys by which an edge signs. `edge` is its URL, `fetch` follows no redirects. Throws when no edge answers, or without keys. */
export async function edgeJwks(edge: string, fetch: Fetch, signal: AbortSignal): Promise<JSONWebKeySet> {
  const url = `${edge}/.well-known/jwks.json`
  const answer = await fetch(url, {
    headers: { accept: 'application/json' },
    signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
  })
  if (answer.status !== 200 || answer.body === null) {
    await answer.body?.cancel()
    throw new Error(`${url} answers with status ${answer.status}`)
  }
  const jwks = readJwks(await readBounded(answer.body, MAX_BODY))
  if (jwks === undefined) throw new Error(`${url} holds no keys: is ${edge} the address of a Waggle edge?`)
  return jwks
}

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}
