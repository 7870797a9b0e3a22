// Public keys as texts, wherever the operator reads them: in ConfigMaps and at the edge. What is no public key for assertions is
// left out, and so is everything else of a key: a private part that stands there by mistake is passed on to nobody.

import type { JSONWebKeySet } from 'jose'
import * as z from 'zod'

/** Key of the text in ConfigMaps. */
export const PUBLIC_KEYS = 'signing.json'
/** Keys of one signer at most. */
const MAX_KEYS = 8

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

function parse(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '')
  } catch {
    return undefined
  }
}
