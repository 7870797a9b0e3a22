// Messages between the caller's era and the server's, in both directions, by edits in place: what neither era nor naming
// concerns stays byte for byte. Reserved `_meta` keys belong to one hop and never cross it.

import { distinctMembers, isObject, paramSpan, type JsonObject, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { encodeHeader, mirroredValues } from '../protocol/header.ts'
import { IMPLEMENTATION, META, MODERN_REVISION, nameMember } from '../protocol/revision.ts'
import { cut, edit, elements, members, rewrite, slice, type Edit, type Member, type Span } from '../protocol/text.ts'
import type { ServerCatalog } from './catalog/server.ts'
import { SERVER_INFO } from './catalog/project.ts'
import type { Route } from './decide.ts'
import type { Opened } from './open.ts'

/** Everything that one forwarded message is about. */
export interface Passage {
  readonly message: Message
  readonly opened: Opened
  readonly route: Route
  readonly server: ServerCatalog
  /** The server's session is the client's own, so that ids and tokens of the client are unique in it. */
  readonly owned: boolean
  /** Unique id of this request, for servers whose session is shared. */
  readonly requestId: string
  readonly traceparent: string
  /** For modern servers: how much a legacy client wants to hear. */
  readonly logLevel: string | undefined
  /** The server's own request state, once our seal is open. */
  readonly requestState: string | undefined
  /** For modern servers: what a legacy client may be asked. */
  readonly declared?: JsonObject | undefined
}

export interface Outbound {
  readonly text: string
  readonly id: string | undefined
  readonly headers: Readonly<Record<string, string>>
}

/** The message as the server shall read it, with the headers that mirror it. */
export function outbound(passage: Passage, clientHeaders: Headers): Outbound {
  const { message, route, server, owned, requestId } = passage
  const modern = server.era === 'modern'
  const edits: Edit[] = []
  const id = modern || owned || message.id === undefined ? message.id : JSON.stringify(requestId)
  const idSpan = message.spans.get('id')
  if (idSpan !== undefined && id !== undefined && id !== message.id) edits.push({ ...idSpan, text: id })
  const params = message.spans.get('params')
  if (params !== undefined) edits.push(...paramEdits(passage, params))
  let text = edit(message.text, edits)
  if (params === undefined && modern)
    text = rewrite(text, 0, () => false, { params: `{"_meta":${envelope(passage, '{}')}}` })
  const headers: Record<string, string> = { traceparent: passage.traceparent }
  if (modern) {
    headers['mcp-protocol-version'] = MODERN_REVISION
    headers['mcp-method'] = message.method
    const member = nameMember(message.method)
    const name = member === undefined ? undefined : (route.rename?.value ?? message.params[member])
    if (typeof name === 'string') headers['mcp-name'] = encodeHeader(name)
    mirror(passage, clientHeaders, headers)
  }
  return { text, id, headers }
}

function paramEdits(passage: Passage, params: Member): Edit[] {
  const { message, opened, route, server } = passage
  const { text } = message
  const spans = distinctMembers(text, params.start)
  const edits: Edit[] = []
  if (route.rename !== undefined) {
    const span = locate(text, spans, route.rename.path)
    if (span !== undefined) edits.push({ ...span, text: JSON.stringify(route.rename.value) })
  }
  if (route.cut !== undefined) {
    const args = spans.get('arguments')
    if (args !== undefined) edits.push({ ...cut(distinctMembers(text, args.start), route.cut), text: '' })
  }
  const state = spans.get('requestState')
  if (passage.requestState !== undefined && state !== undefined) {
    edits.push({ ...state, text: JSON.stringify(passage.requestState) })
  }
  const meta = spans.get('_meta')
  const inner = meta === undefined || !isObject(message.params['_meta']) ? undefined : distinctMembers(text, meta.start)
  if (opened.era === 'modern' && server.era === 'modern') {
    const parent = inner?.get('traceparent')
    if (parent !== undefined) edits.push({ ...parent, text: JSON.stringify(passage.traceparent) })
    return edits
  }
  const current = meta === undefined || inner === undefined ? '{}' : slice(text, meta)
  const wanted = server.era === 'modern' ? envelope(passage, current) : withoutEnvelope(passage, current)
  if (meta !== undefined) edits.push({ ...meta, text: wanted })
  else if (wanted !== '{}') {
    const separator = spans.size > 0 ? ',' : ''
    edits.push({ start: params.end - 1, end: params.end - 1, text: `${separator}"_meta":${wanted}` })
  }
  return edits
}

/** `_meta` for a modern server on behalf of a legacy client: no capability is declared that it could not be asked for. */
function envelope(passage: Passage, current: string): string {
  const { opened, logLevel, traceparent, declared } = passage
  return rewrite(current, 0, reserved, {
    [META.version]: JSON.stringify(MODERN_REVISION),
    [META.capabilities]: declared === undefined ? '{}' : JSON.stringify(declared),
    [META.client]: JSON.stringify(opened.client ?? IMPLEMENTATION),
    ...(logLevel !== undefined && { [META.logLevel]: JSON.stringify(logLevel) }),
    ...(opened.meta['traceparent'] !== undefined && { traceparent: JSON.stringify(traceparent) }),
  })
}

function withoutEnvelope(passage: Passage, current: string): string {
  const { opened, owned, requestId, traceparent } = passage
  return rewrite(current, 0, opened.era === 'modern' ? reserved : () => false, {
    ...(!owned && opened.meta['progressToken'] !== undefined && { progressToken: JSON.stringify(requestId) }),
    ...(opened.meta['traceparent'] !== undefined && { traceparent: JSON.stringify(traceparent) }),
  })
}

const HOP_KEYS: ReadonlySet<string> = new Set([META.version, META.capabilities, META.client, META.logLevel])
const reserved = (key: string): boolean => HOP_KEYS.has(key)

const MAX_PARAM_HEADERS = 64

/** `Mcp-Param-*`: those the tool declares from the arguments, others as the client sent them. */
function mirror({ message, route, opened }: Passage, client: Headers, headers: Record<string, string>): void {
  // A tool without declarations has nothing to mirror: most calls are spared the walk over their headers.
  if (opened.era === 'modern' && (route.entry === undefined || route.entry.item.params !== undefined)) {
    let count = 0
    for (const [name, value] of client) {
      if (!name.startsWith('mcp-param-') || count >= MAX_PARAM_HEADERS) continue
      headers[name] = value
      count += 1
    }
  }
  const declared = route.entry?.item.params ?? []
  const args = declared.length === 0 ? undefined : paramSpan(message, 'arguments')
  const values = args === undefined ? [] : mirroredValues(message.text, args.start, declared)
  for (const [index, { header }] of declared.entries()) {
    const value = values[index]
    const name = `mcp-param-${header.toLowerCase()}`
    if (value === undefined) delete headers[name]
    else headers[name] = encodeHeader(value)
  }
}

/** What the client must be given for the server's message. `sealed` are the tokens that only we may read. */
export interface Sealed {
  readonly requestState: string | undefined
  readonly taskId: string | undefined
}

/** A notification or a response on its way to the client. Throws `Fault` `backend_protocol` for what cannot be passed on. */
export function inbound(
  message: Message,
  passage: Passage,
  sealed: Sealed,
  renamed: ReadonlyMap<string, string> | undefined,
): string {
  if (message.kind !== 'response') return inboundNotification(message, passage)
  const edits: Edit[] = []
  const idSpan = message.spans.get('id')
  if (idSpan !== undefined && message.id !== passage.message.id)
    edits.push({ ...idSpan, text: passage.message.id ?? 'null' })
  if (message.error !== undefined) return inboundError(message, message.error, passage, edits)
  const span = message.spans.get('result')
  if (span === undefined || !isObject(message.result)) return edit(message.text, edits)
  const spans = members(message.text, span.start)
  if (renamed !== undefined) edits.push(...uriEdits(message.text, spans, renamed))
  const set: Record<string, string> = {}
  if (sealed.requestState !== undefined) set['requestState'] = JSON.stringify(sealed.requestState)
  const taskId = sealed.taskId === undefined ? undefined : taskSpan(message.text, spans)
  if (taskId !== undefined) edits.push({ ...taskId, text: JSON.stringify(sealed.taskId) })
  const text = edit(message.text, edits)
  const moved = edits.length === 0 ? span : members(text).get('result')
  if (moved === undefined) return text
  const result =
    passage.opened.era === 'modern'
      ? modernResult(text, moved, message.result, passage, set)
      : legacyResult(text, moved, message.result, passage)
  return result === undefined ? text : edit(text, [{ ...moved, text: result }])
}

/** The server's own name gives way to ours; what a complete modern result must carry is added. */
function modernResult(
  text: string,
  span: Span,
  result: JsonObject,
  passage: Passage,
  set: Record<string, string>,
): string {
  const meta = members(text, span.start).get('_meta')
  const current = meta === undefined || !isObject(result['_meta']) ? '{}' : slice(text, meta)
  set['_meta'] = rewrite(current, 0, () => false, { [META.server]: SERVER_INFO })
  if (result['resultType'] === undefined) set['resultType'] = '"complete"'
  if (passage.message.method === 'resources/read' && (result['resultType'] ?? 'complete') === 'complete') {
    if (typeof result['ttlMs'] !== 'number') set['ttlMs'] = '0'
    set['cacheScope'] = '"private"'
  }
  return rewrite(text, span.start, () => false, set)
}

/** A result as the legacy revisions know it; undefined when it is one already. */
function legacyResult(text: string, span: Span, result: JsonObject, passage: Passage): string | undefined {
  const set: Record<string, string> = {}
  const drop = new Set<string>()
  const spans = members(text, span.start)
  const content = spans.get('structuredContent')
  if (passage.route.entry?.item.wrap === true && content !== undefined) {
    set['structuredContent'] = `{"result":${slice(text, content)}}`
  }
  if (passage.server.era === 'modern') {
    if (result['resultType'] === 'complete') drop.add('resultType')
    if (passage.message.method === 'resources/read') for (const key of ['ttlMs', 'cacheScope']) drop.add(key)
    const meta = spans.get('_meta')
    if (meta !== undefined && isObject(result['_meta'])) {
      const kept = rewrite(slice(text, meta), 0, (key) => key === META.server, {})
      if (kept === '{}') drop.add('_meta')
      else set['_meta'] = kept
    }
  }
  if (drop.size === 0 && Object.keys(set).length === 0) return undefined
  return rewrite(text, span.start, (key) => drop.has(key), set)
}

function inboundNotification(message: Message, { opened, owned, server, requestId }: Passage): string {
  const token = message.params['progressToken']
  if (server.era === 'modern' || owned || token !== requestId) return message.text
  const params = message.spans.get('params')
  const span = params === undefined ? undefined : members(message.text, params.start).get('progressToken')
  const own = opened.meta['progressToken']
  return span === undefined || own === undefined
    ? message.text
    : edit(message.text, [{ ...span, text: JSON.stringify(own) }])
}

/** Codes that 2026-07-28 does not have: resource not found, URL elicitation required. */
const LEGACY_ONLY: ReadonlyMap<unknown, string> = new Map([
  [-32002, '-32602'],
  [-32042, '-32603'],
])

/** Errors pass as they are, except those that speak of our hop or that the client's revision does not have. */
function inboundError(message: Message, error: JsonObject, passage: Passage, edits: Edit[]): string {
  const code = error['code']
  if (code === -32020 || code === -32022) {
    throw new Fault('backend_protocol', `Server ${passage.route.server} does not accept the revision it agreed to.`, {
      data: { server: passage.route.server },
      detail: `error ${code}`,
    })
  }
  const span = message.spans.get('error')
  const codeSpan = span === undefined ? undefined : members(message.text, span.start).get('code')
  const replaced = passage.opened.era === 'modern' ? LEGACY_ONLY.get(code) : undefined
  if (replaced !== undefined && codeSpan !== undefined) edits.push({ ...codeSpan, text: replaced })
  return edit(message.text, edits)
}

function taskSpan(text: string, result: ReadonlyMap<string, Member>): Span | undefined {
  const task = result.get('task')
  return result.get('taskId') ?? (task === undefined ? undefined : members(text, task.start).get('taskId'))
}

/** The task id of a result, wherever its revision puts it. */
export function taskOf(result: JsonObject): string | undefined {
  const { task } = result
  const id = result['taskId'] ?? (isObject(task) ? task['taskId'] : undefined)
  return typeof id === 'string' ? id : undefined
}

/** Places in a result where a URI names a resource of the server. */
function uriEdits(text: string, result: ReadonlyMap<string, Member>, renamed: ReadonlyMap<string, string>): Edit[] {
  const edits: Edit[] = []
  const rename = (span: Span | undefined) => {
    const target = span === undefined ? undefined : renamed.get(JSON.parse(slice(text, span)) as string)
    if (span !== undefined && target !== undefined) edits.push({ ...span, text: JSON.stringify(target) })
  }
  const within = (span: Span | undefined) =>
    span !== undefined && text.charAt(span.start) === '{' ? members(text, span.start) : undefined
  // An embedded resource is one level down and no deeper, however a server nests what it sends.
  const block = (span: Span | undefined) => {
    const spans = within(span)
    rename(spans?.get('uri'))
    rename(within(spans?.get('resource'))?.get('uri'))
  }
  const each = (span: Span | undefined, visit: (one: Span) => void) => {
    if (span !== undefined && text.charAt(span.start) === '[') for (const one of elements(text, span.start)) visit(one)
  }
  each(result.get('contents'), block)
  each(result.get('content'), block)
  each(result.get('messages'), (span) => block(within(span)?.get('content')))
  return edits
}

function locate(text: string, spans: ReadonlyMap<string, Member>, path: readonly string[]): Span | undefined {
  const [head = '', ...rest] = path
  const span = spans.get(head)
  if (span === undefined || rest.length === 0) return span
  return text.charAt(span.start) === '{' ? locate(text, distinctMembers(text, span.start), rest) : undefined
}
