// What every answer of the edge must be, whatever it was asked. Returns what is wrong, in one sentence.

import type { Step } from './case.ts'
import { header } from './wire.ts'
import type { Outcome } from './wire.ts'

/** Statuses that workerd itself gives to requests that are no HTTP it knows; the edge never sees them. */
const OF_HTTP = /^ERROR: /u
/** Workerd has no handler for it to call: the edge never sees it. */
const isTunnel = ({ send }: Step): boolean => send.startsWith('CONNECT ')
/** Where code is, and what it looks like when it breaks: nobody outside may see either. */
const INSIDES =
  /\n {4}at |\bat \w+ \(|worker\.js|node_modules|file:\/\/\/(?!etc)|\/work\/|\.c\+\+|capnp|kj::|TypeError|RangeError|ReferenceError|SyntaxError|undefined is not|\[object Object\]/u

/** Undefined when there is nothing to object to. */
export function objection(step: Step, outcome: Outcome): string | undefined {
  const { kind, status, text } = outcome
  if (kind === 'silent')
    return `no ${status === 0 ? 'answer' : 'end of the answer'} within ${Math.round(outcome.milliseconds)} ms`
  if (kind === 'left') return undefined
  if (kind === 'closed' || kind === 'reset') {
    return step.clean === true ? `the connection was ${kind} ${status === 0 ? 'without' : 'amid'} an answer` : undefined
  }
  if (!(status >= 200 && status <= 599)) return `the status is ${status}`
  if (INSIDES.test(text)) return `the answer shows the insides: ${INSIDES.exec(text)?.[0]}`
  if (status >= 500 && step.clean !== true && (OF_HTTP.test(text) || isTunnel(step))) return undefined
  return misshapen(step, outcome) ?? untyped(step, outcome)
}

/** A 5xx is a fault with a reason, and none is the edge's own confusion. */
function untyped({ send }: Step, { status, text, milliseconds }: Outcome): string | undefined {
  // The audit trail tells of the faults of other requests.
  const found = send.includes('/admin/v1/audit') ? [] : reasons(text)
  if (found.includes('internal') || /-32603,"message":"Internal error/u.test(text)) {
    return `HTTP ${status} with an internal error after ${Math.round(milliseconds)} ms: ${JSON.stringify(text.slice(0, 300))}`
  }
  return status < 500 || found.length > 0
    ? undefined
    : `HTTP ${status} without a typed reason: ${JSON.stringify(text.slice(0, 200))}`
}

function misshapen(step: Step, { kind, head, text, status }: Outcome): string | undefined {
  const type = header(head, 'content-type') ?? ''
  if (step.send.startsWith('HEAD ') || kind === 'streaming') return undefined
  try {
    if (type.startsWith('application/json')) JSON.parse(text)
    if (type.startsWith('text/event-stream')) {
      for (const data of datas(text)) if (data !== '') JSON.parse(data)
      const last = datas(text).at(-1)
      if (status === 200 && last === undefined) return 'the event stream ends without a message'
    }
    return undefined
  } catch {
    return `the answer is not the ${type} that it says it is: ${JSON.stringify(text.slice(0, 300))}`
  }
}

/** The data of each event of an event stream. */
export function datas(text: string): string[] {
  return text.split('\n\n').flatMap((event) => {
    const lines = event.split('\n').flatMap((line) => (line.startsWith('data: ') ? [line.slice(6)] : []))
    return lines.length === 0 ? [] : [lines.join('\n')]
  })
}

/** Every reason (`error.data.reason` of JSON-RPC, `error.reason` of the admin API) in a text, be it JSON, a batch, or an event stream. Only the edge's own: servers send no such member. */
export function reasons(text: string): string[] {
  return [...text.matchAll(/"reason":"([a-z_]+)"/gu)].flatMap(([, reason]) => (reason === undefined ? [] : [reason]))
}
