// Which era a message belongs to, and whether its headers and its envelope agree (MCP 2026-07-28, basic/transports and
// basic/versioning; SEP-2243). Pure: everything it needs comes in.

import { isObject, type JsonObject, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { decodeHeader } from '../protocol/header.ts'
import {
  LEGACY_REVISIONS,
  META,
  MODERN_REVISION,
  isLegacyRevision,
  nameMember,
  type Era,
} from '../protocol/revision.ts'

export interface Opened {
  readonly era: Era
  /** The revision the client speaks in this message. */
  readonly revision: string
  readonly meta: JsonObject
  readonly client: { readonly name: string; readonly version: string } | undefined
}

const none: JsonObject = {}
/** What a legacy client speaks that sends no version header (MCP 2025-06-18, basic/transports). */
const UNSTATED = '2025-03-26'

/** Throws `Fault` `header_mismatch`, `invalid_envelope` or `unsupported_version`. */
export function open(message: Message, headers: Headers): Opened {
  const rawMeta = message.params['_meta']
  const meta = isObject(rawMeta) ? rawMeta : none
  const stated = meta[META.version]
  const header = headers.get('mcp-protocol-version')
  if (stated === undefined) return openLegacy(message, meta, header)
  if (typeof stated !== 'string') throw new Fault('invalid_envelope', `"_meta.${META.version}" must be a string.`)
  if (header === null) throw mismatch('The header MCP-Protocol-Version is required.')
  if (header !== stated) throw mismatch(`The header MCP-Protocol-Version must equal "_meta.${META.version}".`)
  if (stated !== MODERN_REVISION) throw unsupported(stated, [MODERN_REVISION])
  if (message.kind === 'request') checkHeaders(message, headers)
  if (message.kind === 'request' && !isObject(meta[META.capabilities])) {
    throw new Fault('invalid_envelope', `"_meta.${META.capabilities}" is required and must be an object.`)
  }
  return { era: 'modern', revision: stated, meta, client: implementation(meta[META.client]) }
}

function openLegacy(message: Message, meta: JsonObject, header: string | null): Opened {
  if (message.method === 'initialize') {
    const asked = message.params['protocolVersion']
    if (typeof asked !== 'string')
      throw new Fault('invalid_envelope', '"protocolVersion" is required and must be a string.')
    const revision = isLegacyRevision(asked) ? asked : LEGACY_REVISIONS[0]
    return { era: 'legacy', revision, meta, client: implementation(message.params['clientInfo']) }
  }
  if (header === MODERN_REVISION) {
    if (message.kind !== 'request') return { era: 'modern', revision: header, meta, client: undefined }
    throw new Fault('invalid_envelope', `"params._meta.${META.version}" is required in revision ${MODERN_REVISION}.`)
  }
  if (header !== null && !isLegacyRevision(header)) throw unsupported(header, [MODERN_REVISION, ...LEGACY_REVISIONS])
  return { era: 'legacy', revision: header ?? UNSTATED, meta, client: undefined }
}

/** `Mcp-Method` and `Mcp-Name` must say what the body says. */
function checkHeaders(message: Message, headers: Headers): void {
  const method = headers.get('mcp-method')
  if (method !== message.method) throw mismatch('The header Mcp-Method is required and must equal "method".')
  const member = nameMember(message.method)
  if (member === undefined) return
  const expected = message.params[member]
  if (typeof expected !== 'string')
    throw new Fault('invalid_envelope', `"params.${member}" is required and must be a string.`)
  const name = headers.get('mcp-name')
  if (name === null || decodeHeader(name) !== expected) {
    throw mismatch(`The header Mcp-Name is required and must equal "params.${member}".`)
  }
}

function implementation(value: unknown): Opened['client'] {
  if (typeof value !== 'object' || value === null) return undefined
  const { name, version } = value as { name?: unknown; version?: unknown }
  const short = (text: unknown, limit: number) => (typeof text === 'string' ? text.slice(0, limit) : '')
  return { name: short(name, 128), version: short(version, 64) }
}

const mismatch = (message: string): Fault => new Fault('header_mismatch', message)

function unsupported(requested: string, supported: readonly string[]): Fault {
  return new Fault('unsupported_version', 'This protocol version is not supported.', {
    data: { supported, requested: requested.slice(0, 64) },
  })
}
