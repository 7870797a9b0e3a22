// What shall happen with a message. Pure: the catalog, the caller and the message decide, nothing is called.
// A name that is hidden from the caller and a name that does not exist are answered alike.

import { isObject, type Json, type JsonObject, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { META, type Era } from '../protocol/revision.ts'
import type { Catalog, CatalogEntry } from './catalog/catalog.ts'
import { unmapUri } from './catalog/names.ts'
import type { Section } from './catalog/server.ts'
import type { Spread } from './catalog/spread.ts'
import { LOG_LEVELS } from './levels.ts'
import { isLookAlike } from './lookalike.ts'
import { place, type Way } from './placing.ts'
import { judge } from './policy.ts'
import type { Principal } from './principal.ts'

/** Where a request goes, and what to write where in its params so that the server recognises it. */
export interface Route {
  readonly server: string
  readonly entry: CatalogEntry | undefined
  /** The endpoint whose grant admitted the caller, where the catalog spans several. */
  readonly via?: string | undefined
  readonly rename: { readonly path: readonly string[]; readonly value: string } | undefined
  /** An argument that is for the gateway and not for the server. */
  readonly cut?: string | undefined
  /** Where it would do as well. */
  readonly others?: readonly Route[]
}

export type Decision =
  | { readonly kind: 'initialize' | 'discover' | 'empty' | 'listen' | 'ignore' }
  /** What a legacy client says to a server that asked it something, or of its roots. */
  | { readonly kind: 'answer' | 'progress' | 'roots' }
  | { readonly kind: 'list'; readonly section: Section; readonly cursor: string | undefined }
  | { readonly kind: 'level'; readonly level: string }
  | { readonly kind: 'cancel'; readonly request: Json }
  | { readonly kind: 'forward'; readonly route: Route }
  /** To all of them, for one answer. */
  | { readonly kind: 'scatter'; readonly routes: readonly Route[] }
  | { readonly kind: 'subscribe'; readonly route: Route; readonly uri: string; readonly on: boolean }
  | { readonly kind: 'step_up'; readonly scopes: readonly string[] }
  /** `denied`: policy hides what exists; the audit trail knows, the caller must not. */
  | { readonly kind: 'refuse'; readonly fault: Fault; readonly denied?: true }

/** What there is, and for whom. */
export interface Whose {
  readonly catalog: Catalog
  readonly principal: Principal
  /** The one server of the endpoint, where there is just one: it gets what nobody else could. */
  readonly sole: string | undefined
  /** The instance where what the message is about began, if it did. */
  readonly at?: string | undefined
}

export interface Situation extends Whose {
  readonly era: Era
  /** The task that `params.taskId` names, once its seal is open. */
  readonly task: { readonly server: string; readonly via?: string | undefined; readonly id: string } | undefined
}

/** Every template may have to be tried on a URI. */
const MAX_URI = 8192

/** Methods that 2026-07-28 removed: they must not reach a server that still knows them. */
const REMOVED = new Set(['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe'])

export function decide(message: Message, situation: Situation): Decision {
  if (message.kind === 'response') return { kind: situation.era === 'legacy' ? 'answer' : 'ignore' }
  if (message.kind === 'notification') return decideNotification(message, situation)
  if (situation.era === 'modern' && REMOVED.has(message.method)) return unknownMethod(message.method)
  const { params } = message
  switch (message.method) {
    case 'initialize':
      return { kind: 'initialize' }
    case 'server/discover':
      return situation.era === 'modern' ? { kind: 'discover' } : unknownMethod(message.method)
    case 'ping':
      return { kind: 'empty' }
    case 'subscriptions/listen':
      return situation.era === 'modern' ? { kind: 'listen' } : unknownMethod(message.method)
    case 'resources/subscribe':
    case 'resources/unsubscribe': {
      const found = resource(params['uri'], ['uri'], situation)
      const on = message.method === 'resources/subscribe'
      if (found.kind !== 'forward') return found
      // Always the same instance: whoever listens must look where the subscription is.
      const { others: _others, ...route } = found.route
      return { kind: 'subscribe', route, uri: String(params['uri']), on }
    }
    case 'logging/setLevel': {
      const level = LOG_LEVELS.find((one) => one === params['level'])
      return level === undefined
        ? invalid(`"level" must be one of ${LOG_LEVELS.join(', ')}.`)
        : { kind: 'level', level }
    }
    case 'tools/list':
      return list('tools', params['cursor'])
    case 'prompts/list':
      return list('prompts', params['cursor'])
    case 'resources/list':
      return list('resources', params['cursor'])
    case 'resources/templates/list':
      return list('templates', params['cursor'])
    case 'tools/call':
      return named('tools', params['name'], ['name'], situation, params)
    case 'prompts/get':
      return named('prompts', params['name'], ['name'], situation)
    case 'resources/read':
      return resource(params['uri'], ['uri'], situation)
    case 'completion/complete':
      return completion(params['ref'], situation)
    default:
      return other(message, situation)
  }
}

function decideNotification(message: Message, { era, sole }: Situation): Decision {
  if (message.method === 'notifications/cancelled') {
    return era === 'modern' ? { kind: 'ignore' } : { kind: 'cancel', request: message.params['requestId'] ?? null }
  }
  if (era === 'legacy' && message.method === 'notifications/progress') return { kind: 'progress' }
  if (era === 'legacy' && message.method === 'notifications/roots/list_changed') return { kind: 'roots' }
  // Only what is a notification by name: a request without an id must not slip past the rules for requests.
  const foreign = /^notifications\/(?!(?:initialized|progress|roots\/list_changed)$)/u.test(message.method)
  if (!foreign || era === 'modern' || sole === undefined) return { kind: 'ignore' }
  return { kind: 'forward', route: { server: sole, entry: undefined, rename: undefined } }
}

function list(section: Section, cursor: Json | undefined): Decision {
  if (cursor !== undefined && typeof cursor !== 'string') return invalid('"cursor" must be a string.')
  return { kind: 'list', section, cursor }
}

const LABEL: Readonly<Record<Section, string>> = {
  tools: 'tool',
  prompts: 'prompt',
  resources: 'resource',
  templates: 'resource template',
}

function named(
  section: Section,
  name: Json | undefined,
  path: readonly string[],
  situation: Whose,
  params?: JsonObject,
): Decision {
  if (typeof name !== 'string') return invalid(`"${path.join('.')}" must be a string.`)
  const entry = situation.catalog.find(section, name)
  return entry === undefined ? unknownName(section, name) : admitted(entry, name, path, situation, params)
}

function resource(uri: Json | undefined, path: readonly string[], situation: Whose): Decision {
  if (typeof uri !== 'string') return invalid(`"${path.join('.')}" must be a string.`)
  if (uri.length > MAX_URI) return invalid(`"${path.join('.')}" must not exceed ${MAX_URI} characters.`)
  const { catalog, principal, sole } = situation
  const exact = [catalog.find('resources', uri), catalog.find('templates', uri)].filter((one) => one !== undefined)
  const ways = [...exact, ...catalog.templates(uri)]
  // What is hidden from this caller must not stand in the way of what is not.
  const entry = ways.find(({ grants }) => judge(principal, grants).kind !== 'hidden') ?? ways[0]
  if (entry !== undefined) return admitted(entry, uri, path, situation)
  // Servers may link to resources that they do not list; with one server there is no doubt whose it is.
  if (sole !== undefined) return { kind: 'forward', route: { server: sole, entry: undefined, rename: undefined } }
  return unknownName('resources', uri)
}

/** Where a resource is that a caller wants to hear of; undefined when it may not, or when there is none. */
export function decideSubscription(uri: string, situation: Whose): Route | undefined {
  const found = resource(uri, ['uri'], situation)
  return found.kind === 'forward' ? found.route : undefined
}

function completion(ref: Json | undefined, situation: Situation): Decision {
  if (!isObject(ref)) return invalid('"ref" must be an object.')
  if (ref['type'] === 'ref/prompt') return named('prompts', ref['name'], ['ref', 'name'], situation)
  if (ref['type'] === 'ref/resource') return resource(ref['uri'], ['ref', 'uri'], situation)
  return invalid('"ref.type" must be "ref/prompt" or "ref/resource".')
}

/** The entry's server, if this caller may go there; `name` is what the caller wrote, `params` are those of a call. */
function admitted(
  entry: CatalogEntry,
  name: string,
  path: readonly string[],
  situation: Whose,
  params?: JsonObject,
): Decision {
  if (entry.fleet !== undefined) return placed(entry, entry.fleet, name, path, situation, params)
  const verdict = judge(situation.principal, entry.grants)
  switch (verdict.kind) {
    case 'hidden':
      return { ...unknownName(entry.section, name), denied: true }
    case 'step_up':
      return verdict
    case 'allow':
      return {
        kind: 'forward',
        route: { server: entry.server, entry, via: verdict.grant.via, rename: renaming(entry, name, path) },
      }
  }
}

/** As `admitted`, for an entry of a fleet: the instances that the caller may use and means. */
function placed(
  entry: CatalogEntry,
  fleet: Spread,
  name: string,
  path: readonly string[],
  { principal, at }: Whose,
  params: JsonObject = {},
): Decision {
  const args = params['arguments']
  const written = fleet.argument !== undefined && isObject(args) ? args[fleet.argument] : undefined
  const placing = place(fleet, principal, written, at)
  const rename = renaming(entry, name, path)
  const cut = written === undefined ? undefined : fleet.argument
  const routeTo = ({ server, via }: Way): Route => ({ server, entry, via, rename, cut })
  switch (placing.kind) {
    case 'hidden':
      return { ...unknownName(entry.section, name), denied: true }
    case 'step_up':
      return placing
    case 'one': {
      const others = placing.others.map(routeTo)
      return { kind: 'forward', route: { ...routeTo(placing.way), ...(others.length > 0 && { others }) } }
    }
    case 'all':
      if (params['task'] !== undefined) return invalid('A task runs in one cluster: name it.')
      return { kind: 'scatter', routes: placing.ways.map(routeTo) }
    case 'unclear': {
      const { values, denied } = placing
      const text = `"arguments.${fleet.argument ?? ''}" must be one of ${shown(values)}.`
      const fault = new Fault('invalid_params', text, { data: { argument: fleet.argument, values } })
      return { kind: 'refuse', fault, ...(denied && { denied }) }
    }
  }
}

const MAX_SHOWN = 32
const shown = (values: readonly string[]): string =>
  values.length <= MAX_SHOWN ? values.join(', ') : `${values.slice(0, MAX_SHOWN).join(', ')}, and others`

function renaming(entry: CatalogEntry, name: string, path: readonly string[]): Route['rename'] {
  if ((entry.exposed as string) === (entry.original as string)) return undefined
  const isUri = entry.section === 'resources' || entry.section === 'templates'
  return { path, value: isUri ? unmapUri(name, entry.exposed, entry.original) : entry.original }
}

function other(message: Message, { era, sole, task }: Situation): Decision {
  // A server sees one caller in all of the edge's: its own list of tasks would show everybody's.
  if (message.method === 'tasks/list' || isLookAlike(message.method)) return unknownMethod(message.method)
  if (era === 'modern' && message.method.startsWith('tasks/')) {
    if (!TASK_METHODS.has(message.method)) return unknownMethod(message.method)
    if (!declaresTasks(message)) return { kind: 'refuse', fault: needsTasks() }
  }
  if (message.method.startsWith('tasks/') && message.params['taskId'] !== undefined) {
    if (task === undefined) return invalid('"taskId" names no task of this caller.')
    const rename = { path: ['taskId'], value: task.id }
    return { kind: 'forward', route: { server: task.server, entry: undefined, via: task.via, rename } }
  }
  if (sole === undefined) return unknownMethod(message.method)
  return { kind: 'forward', route: { server: sole, entry: undefined, rename: undefined } }
}

/** What a client may do with a task, if it said that it knows tasks (SEP-2663). */
const TASK_METHODS = new Set(['tasks/get', 'tasks/update', 'tasks/cancel'])
const TASKS = 'io.modelcontextprotocol/tasks'

function declaresTasks({ params: { _meta: meta } }: Message): boolean {
  const declared = isObject(meta) ? meta[META.capabilities] : undefined
  const extensions = isObject(declared) ? declared['extensions'] : undefined
  return isObject(extensions) && isObject(extensions[TASKS])
}

const needsTasks = (): Fault =>
  new Fault('missing_capability', `This needs the client capability extensions["${TASKS}"].`, {
    data: { requiredCapabilities: { extensions: { [TASKS]: {} } } },
  })

function unknownMethod(method: string): Decision {
  return { kind: 'refuse', fault: new Fault('method_not_found', `Method not found: ${method.slice(0, 64)}`) }
}

function unknownName(section: Section, name: string): Decision & { kind: 'refuse' } {
  const isUri = section === 'resources' || section === 'templates'
  const data = isUri ? { uri: name.slice(0, 2048) } : undefined
  const label = isUri ? 'resource' : LABEL[section]
  const text = `Unknown ${label}: ${name.slice(0, 128)}`
  return { kind: 'refuse', fault: new Fault('invalid_params', text, data === undefined ? {} : { data }) }
}

const invalid = (message: string): Decision => ({ kind: 'refuse', fault: new Fault('invalid_params', message) })
