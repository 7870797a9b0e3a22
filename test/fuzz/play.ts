// One case, played against the edge: steps one after the other, open streams beside them, what earlier answers gave in
// the later requests. Returns the first objection to any of its answers.

import { render } from './case.ts'
import type { Case, Step, Values } from './case.ts'
import { datas, objection } from './oracle.ts'
import { Wire, header } from './wire.ts'
import type { Outcome } from './wire.ts'

/** The longest that any answer may take: a call's deadline is 1 s, questions to a client are not waited for. */
const DEADLINE_MS = 20_000

export interface Played {
  readonly step: Step
  readonly agent: string
  readonly outcome: Outcome
}

export interface Stage {
  readonly url: URL
  readonly values: Values
  /** The connection for requests that leave it usable. */
  readonly wire: Wire
  readonly deadlineMs?: number
}

/** `agent` marks the case's requests in the audit trail. */
export async function play(
  one: Case,
  stage: Stage,
  agent: string,
): Promise<{ played: Played[]; objection: string | undefined }> {
  const values = new Map(stage.values)
  const extra: Wire[] = []
  const played: Played[] = []
  try {
    for (const [index, step] of one.steps.entries()) {
      const mark = `${agent}.${index}`
      values.set('agent', mark)
      const wire = step.clean === true && step.open !== true ? stage.wire : new Wire(stage.url)
      if (wire !== stage.wire) extra.push(wire)
      const outcome = await wire.exchange({
        bytes: render(step, values),
        ending: step.ending,
        pauseAt: step.pauseAt,
        deadlineMs: stage.deadlineMs ?? DEADLINE_MS,
        bodiless: step.send.startsWith('HEAD '),
        enough: (head, body) => isStream(head) && (step.open === true || listens(step) || asks(body)),
        ...(step.open === true && { onText: (body: string) => learn(values, '', body) }),
      })
      if (step.open !== true && outcome.kind === 'streaming') wire.close()
      learn(values, outcome.head, outcome.text)
      played.push({ step, agent: mark, outcome })
      const wrong = objection(step, outcome)
      if (wrong !== undefined) return { played, objection: `step ${index}: ${wrong}` }
    }
    return { played, objection: undefined }
  } finally {
    for (const wire of extra) wire.close()
  }
}

const isStream = (head: string): boolean => header(head, 'content-type')?.startsWith('text/event-stream') === true
const listens = (step: Step): boolean => step.send.startsWith('GET ') || step.send.includes('subscriptions/listen')
/** A question to the client, which nobody is going to answer on this connection. */
const asks = (body: string): boolean =>
  /"method":"(elicitation\/create|sampling\/createMessage|roots\/list|ping)"/u.test(body)

/** What an answer gives to later steps. */
function learn(values: Map<string, string>, head: string, body: string): void {
  const session = header(head, 'mcp-session-id')
  if (session !== undefined) values.set('mine', session)
  if (body.length > 200_000) return
  for (const data of datas(body)) {
    const asked = /"id":("(?:[^"\\]|\\.)*"|-?\d+)/u.exec(data)?.[1]
    if (asked !== undefined && data.includes('"method"')) values.set('asked', asked)
  }
  const event = [...body.matchAll(/^id: ?(.*)$/gmu)].at(-1)?.[1]
  if (event !== undefined) values.set('event', event.replaceAll(/[^\x20-\x7e]/gu, '?'))
  for (const [key, member] of [
    ['state', 'requestState'],
    ['task', 'taskId'],
    ['cursor', 'nextCursor'],
  ] as const) {
    const found = new RegExp(`"${member}":"([A-Za-z0-9._~+/=-]+)"`, 'u').exec(body)?.[1]
    if (found !== undefined) values.set(key, found)
  }
}
