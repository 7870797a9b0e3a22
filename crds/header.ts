// HTTP headers that a resource may add to the requests towards its server. What HTTP, MCP or the edge itself decides can't be
// overridden, and a credential never stands in a manifest in plain text.
import * as z from 'zod'
import { list, map } from './bound.ts'
import { SecretKeyRef } from './reference.ts'
import { distinct, isFields, keyed, semantic, semantically, textOf } from './rule.ts'

const hop = ['connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect', 'http2-settings']
const owned = ['host', 'accept', 'accept-encoding', 'origin', 'forwarded', 'via', 'last-event-id', 'x-real-ip']
const ownedPrefixes = ['proxy-', 'x-forwarded-', 'content-', 'mcp-', 'waggle-', 'cf-', 'sec-']
const credentials = ['authorization', 'cookie']

/** Whether HTTP, MCP or the edge decides this header, so that no resource may set it. */
export function isReserved(header: string): boolean {
  const name = header.toLowerCase()
  return hop.includes(name) || owned.includes(name) || ownedPrefixes.some((prefix) => name.startsWith(prefix))
}

const reserved = semantically('is set by HTTP, MCP or the edge and can not be forwarded; remove it')

/** A header that a resource may set. Case does not matter. */
export const HeaderName = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: 'must be an HTTP header name (RFC 9110)', abort: true })
  .refine((name) => !isReserved(name), reserved)

/** A header whose value is no credential. */
const PublicHeaderName = HeaderName.refine(
  (name) => !credentials.includes(name.toLowerCase()),
  semantically(
    'is a credential and must not stand in plain text: use an MCPExternalAuthConfig of type bearerToken or headerInjection and name it in externalAuthConfigRef',
  ),
)

const HeaderValue = z
  .string()
  .max(4096)
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/, { error: 'must be an HTTP header value: one line of printable characters' })

const FromSecret = z.strictObject({
  headerName: HeaderName.describe('Name of the header.'),
  valueSecretRef: SecretKeyRef.describe('Where the value is kept.'),
})

/** `spec.headerForward` of MCPRemoteProxy and MCPServerEntry. */
export const HeaderForward = semantic(
  z.strictObject({
    addPlaintextHeaders: map(HeaderValue, 64, PublicHeaderName)
      .optional()
      .describe('Headers by name with their values; not for credentials.'),
    addHeadersFromSecret: distinct(keyed(list(FromSecret, 64), 'headerName'), 'headerName', (item) =>
      textOf(item.headerName).toLowerCase(),
    )
      .optional()
      .describe('Headers whose values are kept in Secrets.'),
  }),
  (fields, refuse) => {
    const plain = isFields(fields.addPlaintextHeaders) ? Object.keys(fields.addPlaintextHeaders) : []
    const taken = new Set(plain.map((name) => name.toLowerCase()))
    const secret = Array.isArray(fields.addHeadersFromSecret) ? fields.addHeadersFromSecret : []
    for (const [index, item] of secret.entries()) {
      if (isFields(item) && taken.has(textOf(item.headerName).toLowerCase())) {
        refuse(['addHeadersFromSecret', index, 'headerName'], 'is in addPlaintextHeaders too; remove one')
      }
    }
  },
)

/** Names of request headers that callers may pass on to every server: neither reserved nor credentials. */
export const PassthroughHeaders = list(
  HeaderName.refine(
    (name) => !credentials.includes(name.toLowerCase()),
    semantically('is a credential of the caller and goes to no server; remove it'),
  ),
  64,
)
