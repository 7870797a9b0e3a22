// One call in all clusters that its caller may use: as many calls, and one answer with a labelled result of each, failures
// included. Each call has its own deadline and its share of the space; what a server asks meanwhile is declined.

import { written } from '../protocol/aside.ts'
import { faultText, isObject, resultText, type Message } from '../protocol/envelope.ts'
import { Fault } from '../protocol/fault.ts'
import { elements, members, slice } from '../protocol/text.ts'
import { forward } from './call.ts'
import { clusterOf, fleetOf } from './catalog/fleet.ts'
import { SERVER_INFO_META } from './catalog/project.ts'
import { Deadline } from './deadline.ts'
import type { Route } from './decide.ts'
import type { Host } from './endpoint.ts'
import type { Delivered, Delivery, Forwarding } from './forwarding.ts'
import { asFault } from './reply.ts'

/** Calls at once. */
const MAX_PARALLEL = 32
/** Bytes of all results together; each appears twice in the answer. */
const MAX_RESULTS = 8 * 1024 * 1024
const MIN_SHARE = 64 * 1024

/** What one cluster answered, as JSON texts. */
interface Answer {
  readonly cluster: string
  readonly ok: boolean
  /** Elements of `content`. */
  readonly blocks: readonly string[]
  readonly member: string
}

/** `deadline` is the clock of the whole: who leaves or cancels ends all of it. Never throws for a cluster that fails. */
export async function scatter(
  forwarding: Forwarding,
  routes: readonly Route[],
  host: Host,
  deadline: Deadline,
): Promise<Delivery> {
  const share = Math.max(MIN_SHARE, Math.floor(MAX_RESULTS / routes.length))
  const queue = routes.entries()
  const answers: Answer[] = []
  // Workers share one iterator, so that each call is made once.
  const work = async () => {
    for (const [at, route] of queue) answers[at] = await one({ ...forwarding, share }, route, host, deadline)
  }
  try {
    await Promise.all(Array.from({ length: Math.min(MAX_PARALLEL, routes.length) }, work))
  } finally {
    deadline.end()
  }
  const { record, message, opened } = forwarding
  record.server = fleetOf(routes[0]?.server ?? '')
  const failed = answers.every(({ ok }) => !ok)
  const result = [
    `"content":[${answers.flatMap(({ blocks }) => blocks).join(',')}]`,
    `"structuredContent":{"clusters":[${answers.map(({ member }) => member).join(',')}]}`,
    ...(failed ? ['"isError":true'] : []),
    ...(opened.era === 'modern' ? [`"resultType":"complete","_meta":${SERVER_INFO_META}`] : []),
  ]
  const text = resultText(message.id ?? 'null', `{${result.join(',')}}`)
  const response: Message = { ...message, kind: 'response', text, result: { isError: failed } }
  return { response: { text, response }, stream: undefined }
}

async function one(forwarding: Forwarding, route: Route, host: Host, whole: Deadline): Promise<Answer> {
  const cluster = clusterOf(route.server) ?? ''
  try {
    const target = forwarding.endpoint.target(route.server, route.via)
    const deadline = new Deadline(route.server, target.timeoutMs, host.now())
    if (whole.signal.aborted) deadline.abort(whole.signal.reason)
    else whole.onAbort((reason) => deadline.abort(reason))
    const { response, stream } = await forward(forwarding, route, host, target, deadline)
    return answered(cluster, response ?? (await last(stream)))
  } catch (error) {
    return refused(cluster, errorOf(faultText(undefined, asFault(error))))
  }
}

async function last(stream: Delivery['stream']): Promise<Delivered> {
  if (stream !== undefined) for await (const one of stream) if (one.response !== undefined) return one
  throw new Fault('backend_protocol', 'The server ended without an answer.')
}

function answered(cluster: string, { text, response }: Delivered): Answer {
  const whole = response?.aside === undefined ? text : [...written(text, response)].join('')
  if (response?.error !== undefined) return refused(cluster, errorOf(whole))
  const type = isObject(response?.result) ? (response.result['resultType'] ?? 'complete') : 'complete'
  const span = members(whole).get('result')
  if (span === undefined || whole.charAt(span.start) !== '{' || type !== 'complete') {
    const fault = new Fault('backend_protocol', 'This has no answer at once in this cluster: call it there alone.')
    return refused(cluster, errorOf(faultText(undefined, fault)))
  }
  const result = slice(whole, span)
  const content = members(result).get('content')
  const blocks =
    content === undefined || result.charAt(content.start) !== '['
      ? []
      : elements(result, content.start).map((block) => slice(result, block))
  const ok = !(isObject(response?.result) && response.result['isError'] === true)
  const label = block(ok ? `Cluster ${cluster}:` : `Cluster ${cluster} failed:`)
  return { cluster, ok, blocks: [label, ...blocks], member: labelled(cluster, ok, 'result', result) }
}

/** `error` is the JSON text of a JSON-RPC error. */
function refused(cluster: string, error: string): Answer {
  const { message } = JSON.parse(error) as { message?: unknown }
  const text = `Cluster ${cluster} failed: ${typeof message === 'string' ? message : 'no reason given'}`
  return { cluster, ok: false, blocks: [block(text)], member: labelled(cluster, false, 'error', error) }
}

function labelled(cluster: string, ok: boolean, key: 'result' | 'error', text: string): string {
  return `{"cluster":${JSON.stringify(cluster)},"ok":${ok},"${key}":${text}}`
}

const block = (text: string): string => JSON.stringify({ type: 'text', text })

function errorOf(text: string): string {
  const span = members(text).get('error')
  return span === undefined ? '{}' : slice(text, span)
}
